# Tasks, streams of tasks and agents on Elixir's own, whose owner does what a
# script says.
#
# The time is counted in ticks. Operations begin every eight ticks, tasks end in
# between, each at a tick of its own: so nothing is a race, as long as nobody is
# late by a tick. Many scripts run at a time.
defmodule Proof.Tasks do
  @slot 8
  @rest 40

  def run(cases) do
    drivers =
      for {tick, script} <- cases do
        # Not all of them at the same tick.
        Process.sleep(1)
        Task.async(fn -> drive(script, tick) end)
      end

    drivers |> Task.await_many(:infinity) |> Enum.join("\t")
  end

  defp drive({traps, catches, ops}, tick) do
    {:ok, supervisor} = Task.Supervisor.start_link(max_restarts: 3, max_seconds: 3600)
    {:ok, plain} = Task.Supervisor.start_link()
    Process.unlink(supervisor)
    driver = self()

    state = %{
      driver: driver,
      supervisor: supervisor,
      # Without a supervisor there is no task without a link. The law is the same.
      plain: plain,
      catches: catches,
      tick: tick,
      begun: 0,
      tasks: %{},
      told: [],
      agent: nil
    }

    {owner, monitor} =
      spawn_monitor(fn ->
        Process.flag(:trap_exit, traps)
        Enum.reduce(ops, %{state | begun: now()}, &take/2)
      end)

    reason =
      receive do
        {:DOWN, ^monitor, :process, ^owner, reason} -> reason
      end

    Process.sleep(@rest * tick)
    {words, marks, pids} = told([], [], [])
    Enum.each([supervisor | pids], &Process.exit(&1, :kill))
    Enum.join(words ++ ["owner!#{reason(reason)}" | Enum.sort(marks)], " ")
  end

  defp told(words, marks, pids) do
    receive do
      {:word, word} -> told([word | words], marks, pids)
      {:mark, mark, pid} -> told(words, [mark | marks], [pid | pids])
      {:began, pid} -> told(words, marks, [pid | pids])
    after
      0 -> {Enum.reverse(words), marks, pids}
    end
  end

  # What an operation came to is told when the next one begins: not, if its owner
  # ends by it.
  defp take(op, state) do
    {word, state} = attempt(op, state)
    passed = now() - state.begun
    slot = @slot * state.tick
    Process.sleep((div(passed, slot) + 1) * slot - passed)
    send(state.driver, {:word, word})
    state
  end

  # An exit from a stream leaves tasks behind if it is caught; in Resurgam they
  # are gone (TASK-21). So it is not.
  defp attempt(op, %{catches: true} = state) when elem(op, 0) != :stream do
    try do
      op(op, state)
    catch
      :exit, reason -> {"exit:#{reason(reason)}", after_exit(op, state)}
    end
  end

  defp attempt(op, state), do: op(op, state)

  defp after_exit({:await, n, _}, state), do: forget([n], state)
  defp after_exit({:await_many, ns, _}, state), do: forget(open(ns, state), state)
  defp after_exit(_, state), do: state

  defp now(), do: System.monotonic_time(:millisecond)

  # --- tasks ---

  defp op({what, _, kind, _} = op, state) when what == :async and kind in [:sup_link, :sup_nolink] do
    if supervised?(state), do: async(op, state), else: {"none", state}
  end

  defp op({:async, _, _, _} = op, state), do: async(op, state)
  defp op({:completed, n}, state), do: {"ok", keep(n, Task.completed(n), state)}

  defp op({:await, n, timeout}, state) do
    with_task(n, state, fn task -> {Task.await(task, ticks(timeout, state)), forget([n], state)} end)
  end

  defp op({:yield, n, timeout}, state) do
    with_task(n, state, fn task ->
      end_ = Task.yield(task, ticks(timeout, state))
      {end_of(end_), tell(n, end_, state)}
    end)
  end

  defp op({:shutdown, n, timeout}, state) do
    case state.tasks do
      %{^n => %Task{pid: pid} = task} when pid != nil ->
        end_ = Task.shutdown(task, ticks(timeout, state))
        {end_of(end_), forget([n], state)}

      _ ->
        {"gone", state}
    end
  end

  defp op({:ignore, n}, state) do
    with_task(n, state, fn
      %Task{pid: nil} -> {"gone", state}
      task -> {end_of(Task.ignore(task)), forget([n], state)}
    end)
  end

  defp op({:await_many, ns, timeout}, state) do
    ns = open(ns, state)
    results = Task.await_many(tasks(first_failed(ns, state), state), ticks(timeout, state))
    {"[#{Enum.join(results, ",")}]", forget(ns, state)}
  end

  defp op({:yield_many, ns, timeout}, state) do
    ns = open(ns, state)
    ends = Task.yield_many(tasks(ns, state), ticks(timeout, state))
    words = Enum.map_join(ends, ",", fn {_, end_} -> end_of(end_) end)
    told = Enum.zip(ns, ends)
    {"[#{words}]", Enum.reduce(told, state, fn {n, {_, end_}}, state -> tell(n, end_, state) end)}
  end

  defp op({:stream, _, kind, _, _, _, _, _, _} = op, state) do
    if kind in [:link, :nolink] or supervised?(state), do: stream(op, state), else: {"none", state}
  end

  # Work that nobody waits for: it crashes some times first.
  defp op({:child, n, restart, crashes, last}, state) do
    runs = :counters.new(1, [])

    fun = fn ->
      send(state.driver, {:mark, "c#{n}", self()})
      :counters.add(runs, 1, 1)

      cond do
        :counters.get(runs, 1) <= crashes -> raise "crash"
        last == :return -> :ok
        last == :never -> Process.sleep(:infinity)
      end
    end

    if supervised?(state) do
      {:ok, _} = Task.Supervisor.start_child(state.supervisor, fun, restart: restart)
      {"ok", state}
    else
      {"none", state}
    end
  end

  defp op({:stop_supervisor, how}, %{supervisor: supervisor} = state) do
    monitor = Process.monitor(supervisor)

    cond do
      not supervised?(state) -> :ok
      how == :kill -> Process.exit(supervisor, :kill)
      how == :stop -> Supervisor.stop(supervisor)
    end

    receive do
      {:DOWN, ^monitor, _, _, reason} -> {reason, state}
    end
  end

  # --- agents ---

  defp op({:agent, link}, state) do
    start = if link == :link, do: &Agent.start_link/1, else: &Agent.start/1
    {:ok, agent} = start.(fn -> 0 end)
    send(state.driver, {:began, agent})
    {"ok", %{state | agent: agent}}
  end

  # Its first state cannot be made.
  defp op({:agent_fails, link}, state) do
    start = if link == :link, do: &Agent.start_link/1, else: &Agent.start/1
    {:error, reason} = start.(fn -> raise "crash" end)
    {reason(reason), state}
  end

  defp op(_, %{agent: nil} = state), do: {"none", state}
  defp op({:get}, state), do: {Agent.get(state.agent, & &1), state}
  defp op({:update, k}, state), do: {Agent.update(state.agent, &(&1 + k)), state}
  defp op({:cast, k}, state), do: {Agent.cast(state.agent, &(&1 + k)), state}

  defp op({:get_and_update, k}, state) do
    {Agent.get_and_update(state.agent, &{&1, &1 * 2 + k}), state}
  end

  defp op({:crash, how}, state) do
    crash = fn _ -> raise "crash" end

    result =
      case how do
        :get -> Agent.get(state.agent, crash)
        :update -> Agent.update(state.agent, crash)
        :cast -> Agent.cast(state.agent, crash)
      end

    {result, state}
  end

  defp op({:stop, reason}, state), do: {Agent.stop(state.agent, reason), state}

  # --- what tasks do ---

  defp async({:async, n, kind, work}, state) do
    fun = fn -> work("t#{n}", n, work, state) end

    task =
      case kind do
        :link -> Task.async(fun)
        :nolink -> Task.Supervisor.async_nolink(state.plain, fun)
        :sup_link -> Task.Supervisor.async(state.supervisor, fun)
        :sup_nolink -> Task.Supervisor.async_nolink(state.supervisor, fun)
      end

    {"ok", keep(n, task, state)}
  end

  defp stream({:stream, id, kind, items, max, order, late, zip, take}, state) do
    items = Enum.with_index(items)

    options = [
      max_concurrency: max,
      ordered: order == :ordered,
      timeout: ticks(32, state),
      on_timeout: late,
      zip_input_on_exit: zip
    ]

    fun = fn {{ticks, how}, n} -> work("s#{id}.#{n}", n, {ticks, how, false}, state) end

    stream =
      case kind do
        :link -> Task.async_stream(items, fun, options)
        :nolink -> Task.Supervisor.async_stream_nolink(state.plain, items, fun, options)
        :sup_link -> Task.Supervisor.async_stream(state.supervisor, items, fun, options)
        :sup_nolink -> Task.Supervisor.async_stream_nolink(state.supervisor, items, fun, options)
      end

    ends = if take == :all, do: Enum.to_list(stream), else: Enum.take(stream, take)
    {"[#{Enum.map_join(ends, ",", &end_of/1)}]", state}
  end

  defp supervised?(state), do: Process.alive?(state.supervisor)

  defp work(name, value, {ticks, how, stubborn}, state) do
    Process.flag(:trap_exit, stubborn)
    send(state.driver, {:mark, name <> "+", self()})
    Process.sleep(if how == :never, do: :infinity, else: ticks(ticks, state))
    send(state.driver, {:mark, name <> "-", self()})

    case how do
      :return -> value
      :crash -> raise "crash"
      reason -> exit(reason)
    end
  end

  # --- the owner's tasks ---

  # Of several that have failed before anybody waits for them, the first to fail
  # decides; in Resurgam the first of the list (TASK-15).
  defp first_failed(ns, state) do
    # What has come is there when it was looked for.
    receive do
      :nothing -> :ok
    after
      0 -> :ok
    end

    {:messages, messages} = Process.info(self(), :messages)
    told = fn ref -> Enum.find(messages, &(elem(&1, 0) == ref or match?({:DOWN, ^ref, _, _, _}, &1))) end
    failed? = fn n -> match?({:DOWN, _, _, _, _}, told.(state.tasks[n].ref)) end

    case Enum.find(ns, failed?) do
      nil -> ns
      n -> [n]
    end
  end

  # One whose end was told can only be shut down.
  defp with_task(n, state, fun) do
    case open([n], state) do
      [_] -> fun.(state.tasks[n])
      [] -> {"gone", state}
    end
  end

  defp open(ns, state), do: Enum.filter(ns, &(Map.has_key?(state.tasks, &1) and &1 not in state.told))
  defp tasks(ns, state), do: Enum.map(ns, &state.tasks[&1])
  defp keep(n, task, state), do: %{state | tasks: Map.put(state.tasks, n, task)}
  defp forget(ns, state), do: %{state | tasks: Map.drop(state.tasks, ns)}
  defp tell(_, nil, state), do: state
  defp tell(n, _, state), do: %{state | told: [n | state.told]}

  # --- words ---

  defp ticks(ticks, state) when is_integer(ticks), do: ticks * state.tick
  defp ticks(other, _), do: other

  defp end_of(nil), do: "nil"
  defp end_of({:ok, value}), do: "ok#{value}"
  defp end_of({:exit, {{{_, _}, n}, reason}}), do: "exit:#{n}/#{reason(reason)}"
  defp end_of({:exit, reason}), do: "exit:#{reason(reason)}"

  defp reason({%RuntimeError{}, _}), do: "crash"
  defp reason({reason, {module, _, _}}) when module in [Task, Task.Supervised, GenServer], do: reason(reason)
  defp reason(reason) when is_atom(reason), do: reason
end
