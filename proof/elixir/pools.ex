# Dynamic supervisors and partition supervisors on Elixir's own, and what happens
# to their children.
#
# One process takes the steps, one after the other. All others have the priority
# `high`, so when it goes on everything has come to rest.
defmodule Proof.Pools do
  use GenServer, restart: :permanent

  @name :pool
  @period 3600

  def run({max_restarts, pool, steps}) do
    Process.flag(:trap_exit, true)
    stage = %{top: nil, kind: elem(pool, 0), pids: %{}, names: %{}}
    {result, stage} = open(pool, [max_restarts: max_restarts, max_seconds: @period], stage)
    {first, stage} = word(result, stage)

    {words, last} =
      Enum.map_reduce(steps, stage, fn step, stage ->
        step |> step(stage) |> word(stage)
      end)

    last.names |> Map.keys() |> Enum.each(&kill/1)
    Enum.join([first | words], " ")
  end

  defp open({:dynamic, max_children}, options, stage) do
    {:ok, top} = DynamicSupervisor.start_link([max_children: max_children] ++ options)
    opened(top, stage)
  end

  defp open({:partitions, restart, starts}, options, stage) do
    plans = starts |> Enum.with_index() |> Map.new(fn {starts, n} -> {n, plan(n, starts, false)} end)
    spec = %{id: :child, start: {__MODULE__, :start_link, [plans]}, restart: restart}
    with_arguments = fn [plans], n -> [plans[n]] end

    options =
      [child_spec: spec, name: @name, partitions: length(starts), with_arguments: with_arguments] ++ options

    case PartitionSupervisor.start_link(options) do
      {:ok, top} -> opened(top, stage)
      {:error, _} -> {"failed", stage}
    end
  end

  defp opened(top, stage) do
    Process.monitor(top)
    hasten(top)
    {"ok", %{stage | top: top, names: Map.put(stage.names, top, "top")}}
  end

  defp hasten(pid) do
    :sys.replace_state(pid, fn state ->
      Process.flag(:priority, :high)
      state
    end)
  end

  # --- the steps ---

  defp step({:end, n, how}, stage) do
    case stage.pids do
      %{^n => pid} ->
        monitor = Process.monitor(pid)
        if how == :kill, do: Process.exit(pid, :kill), else: send(pid, {:end, how})

        receive do
          {:DOWN, ^monitor, _, _, :noproc} -> "dead"
          {:DOWN, ^monitor, _, _, _} -> "ok"
        end

      _ ->
        "none"
    end
  end

  defp step(_, %{top: nil}), do: "none"

  defp step({:start, n, {restart, traps, type, starts}}, %{kind: :dynamic} = stage) do
    start = {__MODULE__, :start_link, [plan(n, starts, traps)]}
    spec = %{id: :child, start: start, restart: restart, type: type, shutdown: 5000}

    answered(fn ->
      case DynamicSupervisor.start_child(stage.top, spec) do
        {:ok, _} -> "ok"
        :ignore -> "ignored"
        {:error, :max_children} -> "max_children"
        {:error, _} -> "failed"
      end
    end)
  end

  defp step({:terminate, n}, %{kind: :dynamic} = stage) do
    case stage.pids do
      %{^n => pid} ->
        answered(fn ->
          case DynamicSupervisor.terminate_child(stage.top, pid) do
            :ok -> "ok"
            {:error, :not_found} -> "not_found"
          end
        end)

      _ ->
        "none"
    end
  end

  # One that runs no more is found all the same; not one that never ran.
  defp step({:find, number}, %{kind: :partitions} = stage) do
    try do
      stage.names[GenServer.whereis({:via, PartitionSupervisor, {@name, number}})]
    rescue
      ArgumentError -> "nobody"
    catch
      :exit, {:noproc, _} -> "nobody"
    end
  end

  defp step(:stop, stage), do: answered(fn -> Supervisor.stop(stage.top) end)

  defp answered(fun) do
    try do
      fun.()
    catch
      :exit, :noproc -> "noproc"
      :exit, {:noproc, _} -> "noproc"
    end
  end

  # --- what is seen ---

  defp word({result, stage}, _), do: word(result, stage)

  defp word(result, stage) when is_map(stage) do
    :erlang.yield()
    {words, stage} = told([], stage)
    # Once more, for those that began: they are watched now.
    :erlang.yield()
    {words, stage} = told(words, stage)
    {"#{result}(#{words |> Enum.sort() |> Enum.join(",")})#{looks(stage)}", stage}
  end

  defp told(words, stage) do
    receive do
      {:tried, n} ->
        told(["#{n}?" | words], stage)

      {:began, n, pid} ->
        Process.monitor(pid)
        stage = %{stage | pids: Map.put(stage.pids, n, pid), names: Map.put(stage.names, pid, n)}
        told(words, stage)

      {:DOWN, _, :process, pid, reason} ->
        told(["#{stage.names[pid]}!#{reason(reason)}" | words], stage)

      {:EXIT, _, _} ->
        told(words, stage)
    after
      0 -> {words, stage}
    end
  end

  defp looks(%{top: nil}), do: "gone"

  defp looks(stage) do
    if Process.alive?(stage.top), do: there(stage), else: "gone"
  end

  defp there(%{kind: kind, top: top, names: names}) do
    module = if kind == :dynamic, do: DynamicSupervisor, else: Supervisor

    children =
      for {_, pid, _, _} <- module.which_children(top) do
        if is_pid(pid), do: to_string(names[pid]), else: "-"
      end

    count = module.count_children(top)

    "#{count.specs}/#{count.active}/#{count.supervisors}/#{count.workers}=" <>
      Enum.join(Enum.sort(children), "+")
  end

  defp reason({%RuntimeError{}, _}), do: "crash"
  defp reason(reason), do: reason

  defp kill(pid) do
    monitor = Process.monitor(pid)
    Process.exit(pid, :kill)

    receive do
      {:DOWN, ^monitor, _, _, _} -> :ok
    end
  end

  # --- the children ---

  defp plan(n, starts, traps) do
    %{child: n, starts: starts, tried: :counters.new(1, []), traps: traps, told: self()}
  end

  def start_link(plan), do: GenServer.start_link(__MODULE__, plan, spawn_opt: [priority: :high])

  @impl true
  def init(plan) do
    Process.flag(:trap_exit, plan.traps)
    send(plan.told, {:tried, plan.child})
    before = :counters.get(plan.tried, 1)
    :counters.add(plan.tried, 1, 1)

    case Enum.at(plan.starts, before, :ok) do
      :ok ->
        send(plan.told, {:began, plan.child, self()})
        {:ok, plan}

      :ignore ->
        :ignore

      :stop ->
        {:stop, :stop}

      :crash ->
        raise "crash"
    end
  end

  @impl true
  def handle_info({:end, :crash}, _), do: raise("crash")
  def handle_info({:end, how}, plan), do: {:stop, how, plan}
end
