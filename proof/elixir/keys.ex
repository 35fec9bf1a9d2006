# Registries on Elixir's Registry whose processes do what a script says.
#
# One process takes the steps, one after the other, and listens to the
# registries. All others have the priority `high`, so when it goes on everything
# has come to rest.
defmodule Proof.Keys do
  @registries [:u, :d]
  @keys [1, 1.0, :_, :"$1"]
  @people [:a, :b, :c, :d, :e]
  @trapping [:a, :b]

  def run(steps) do
    Process.register(self(), :listener)
    stage = %{pids: %{}, names: %{}, meta: %{}}
    stage = Enum.reduce(@people, stage, fn who, stage -> enter(stage, who, person(who)) end)
    Enum.each(@registries, &start(&1, stage))
    {words, last} = Enum.map_reduce(steps, stage, &seen/2)
    Enum.each(@registries, &stop(&1, :kill))
    last.names |> Map.keys() |> Enum.each(&Process.exit(&1, :kill))
    Enum.join(words, " ")
  end

  # --- what is seen ---

  defp seen(step, stage) do
    before = entries()
    {result, stage} = step(step, stage)
    :erlang.yield()
    told = Enum.sort(told(stage) ++ gone(step, stage, before))
    {"#{result}(#{Enum.join(told, ",")})#{looks(stage)}", stage}
  end

  defp told(stage) do
    receive do
      {:register, registry, key, pid, value} ->
        ["+#{registry}#{key(key)}:#{name(stage, pid)}#{value}" | told(stage)]

      {:unregister, registry, key, pid} ->
        [] = Registry.values(registry, key, pid)
        told(stage)

      {:DOWN, _, :process, pid, reason} ->
        ["#{name(stage, pid)}!#{reason(reason)}" | told(stage)]

      {:noted, word} ->
        [word | told(stage)]
    after
      0 -> []
    end
  end

  # What listeners are told is gone in Resurgam: every entry, unless the registry
  # is. Here they are told when a process has taken itself away and is under the
  # key no more, whether it was or not; and not when it ends (PREG-13).
  defp gone(step, stage, before) do
    stopped =
      case step do
        {:stop, registry, _} -> registry
        _ -> nil
      end

    for {registry, key, pid} <- before -- entries(), registry != stopped do
      "-#{registry}#{key(key)}:#{name(stage, pid)}"
    end
  end

  defp looks(stage), do: Enum.map_join(@registries, ";", &look(&1, stage))

  defp look(registry, stage) do
    keys = Enum.map_join(@keys, "|", fn key -> pairs(stage, lookup(registry, key)) end)

    theirs =
      for {who, pid} <- Enum.sort(stage.pids), registry_runs?(registry) do
        keys = Registry.keys(registry, pid) |> Enum.map(&key/1) |> Enum.sort()
        if keys == [], do: "", else: "#{who}#{Enum.join(keys, "+")}"
      end

    "#{registry}#{count(registry)}=#{keys}/#{Enum.join(theirs)}"
  end

  # Of a registry that does not run, to read is an error. In Resurgam nobody is
  # there.
  defp lookup(registry, key) do
    if registry_runs?(registry), do: Registry.lookup(registry, key), else: []
  end

  defp count(registry), do: if(registry_runs?(registry), do: Registry.count(registry), else: 0)

  defp entries() do
    for registry <- @registries,
        registry_runs?(registry),
        entry <- Registry.select(registry, [{{:"$1", :"$2", :_}, [], [{{registry, :"$1", :"$2"}}]}]),
        do: entry
  end

  defp pairs(stage, pairs) do
    pairs |> Enum.map(fn {pid, value} -> "#{name(stage, pid)}#{value}" end) |> Enum.sort() |> Enum.join("+")
  end

  defp name(stage, pid), do: Map.fetch!(stage.names, pid)

  defp key(key), do: inspect(key)

  defp reason({_, stack}) when is_list(stack), do: "crash"
  defp reason(reason), do: reason

  # --- the steps ---

  defp step({:start, registry}, stage), do: {start(registry, stage), stage}
  defp step({:stop, registry, how}, stage), do: {stop(registry, how), stage}

  defp step({:register, who, registry, key, value}, stage) do
    by(stage, who, fn ->
      case Registry.register(registry, key, value) do
        {:ok, _} -> :ok
        {:error, {:already_registered, pid}} -> {:taken, pid}
      end
    end)
  end

  defp step({:unregister, who, registry, key}, stage) do
    by(stage, who, fn -> taken_away(registry, key, fn -> Registry.unregister(registry, key) end) end)
  end

  defp step({:unregister_match, who, registry, key, least}, stage) do
    by(stage, who, fn ->
      guards = [{:>=, :"$1", least}]
      taken_away(registry, key, fn -> Registry.unregister_match(registry, key, :"$1", guards) end)
    end)
  end

  defp step({:update, who, key}, stage) do
    by(stage, who, fn ->
      case Registry.update_value(:u, key, &(&1 + 10)) do
        {new, old} -> "#{new}<#{old}"
        :error -> :error
      end
    end)
  end

  defp step({:values, registry, key, who}, stage) do
    reads(stage, registry, fn ->
      pid = Map.get(stage.pids, who, self())
      Registry.values(registry, key, pid) |> Enum.sort() |> Enum.join("+")
    end)
  end

  defp step({:match, registry, key, least}, stage) do
    reads(stage, registry, fn ->
      found = Registry.match(registry, key, :"$1", [{:>=, :"$1", least}])
      guards = [{:"=:=", :"$1", {:const, key}}, {:>=, :"$3", least}]
      picked = Registry.select(registry, [{{:"$1", :"$2", :"$3"}, guards, [{{:"$2", :"$3"}}]}])
      true = Enum.sort(found) == Enum.sort(picked)
      true = length(found) == Registry.count_match(registry, key, :"$1", [{:>=, :"$1", least}])
      true = length(found) == Registry.count_select(registry, [{{:"$1", :"$2", :"$3"}, guards, [true]}])
      pairs(stage, found)
    end)
  end

  defp step({:dispatch, registry, key}, stage) do
    reads(stage, registry, fn ->
      Registry.dispatch(registry, key, fn entries -> send(self(), {:dispatched, entries}) end)

      receive do
        {:dispatched, entries} -> pairs(stage, entries)
      after
        0 -> ""
      end
    end)
  end

  defp step({:put_meta, registry, key, value}, stage) do
    :ok = Registry.put_meta(registry, key, value)
    {"ok", put_in(stage.meta[{registry, key}], value)}
  end

  defp step({:delete_meta, registry, key}, stage) do
    :ok = Registry.delete_meta(registry, key)
    {"ok", %{stage | meta: Map.delete(stage.meta, {registry, key})}}
  end

  defp step({:meta, registry, key}, stage) do
    case Registry.meta(registry, key) do
      {:ok, value} -> {value, stage}
      :error -> {"none", stage}
    end
  end

  # A server under a key.
  defp step({:server, who, key, value}, stage) do
    name = {:via, Registry, {:u, key, value}}
    options = [name: name, spawn_opt: [priority: :high]]

    try do
      case Agent.start(fn -> value end, options) do
        {:ok, pid} -> {"ok", enter(stage, who, pid)}
        {:error, {:already_started, pid}} -> {"taken by #{name(stage, pid)}", stage}
      end
    rescue
      ArgumentError -> {not_running(:u), stage}
    end
  end

  defp step({:call, key}, stage) do
    name = {:via, Registry, {:u, key}}

    reads(stage, :u, fn ->
      case GenServer.whereis(name) do
        nil ->
          {:noproc, _} = catch_exit(fn -> Agent.get(name, & &1) end)
          "noproc"

        pid ->
          if name(stage, pid) in @people, do: name(stage, pid), else: Agent.get(name, & &1)
      end
    end)
  end

  defp step({:send, key, number}, stage) do
    name = {:u, key}

    reads(stage, :u, fn ->
      case Registry.whereis_name(name) do
        :undefined ->
          try do
            Registry.send(name, {:note, number})
          rescue
            ArgumentError -> "noproc"
          end

        pid ->
          if name(stage, pid) in @people, do: Registry.send(name, {:note, number})
          name(stage, pid)
      end
    end)
  end

  defp step({:end, who, how}, stage), do: {finish(stage, who, how), stage}

  defp step({:take, from, who, key, value}, stage) do
    finish(stage, from, :kill)
    step({:register, who, :u, key, value}, stage)
  end

  defp start(registry, stage) do
    keys = %{u: :unique, d: :duplicate}[registry]

    case Registry.start_link(keys: keys, name: registry, listeners: [:listener]) do
      {:ok, pid} ->
        Process.unlink(pid)
        hasten(pid)
        hasten(partition(registry))
        # Resurgam keeps what is put beside a registry when it is started anew.
        for {{^registry, key}, value} <- stage.meta, do: Registry.put_meta(registry, key, value)
        "ok"

      {:error, {:already_started, _}} ->
        "taken"
    end
  end

  defp stop(registry, how) do
    case Process.whereis(registry) do
      nil ->
        "none"

      pid ->
        stop(registry, pid, how)
        "ok"
    end
  end

  # The registry is a supervisor; the one that owns the tables is its child,
  # which takes a while to end.
  defp stop(registry, pid, how) when how in [:shutdown, :kill] do
    monitor = Process.monitor(partition(registry))
    if how == :kill, do: kill(pid), else: Supervisor.stop(pid, :shutdown)

    receive do
      {:DOWN, ^monitor, _, _, _} -> Process.sleep(1)
    end
  end

  defp stop(registry, pid, :crash) do
    partition = partition(registry)
    kill(partition)
    # It answers when it has restarted what fell.
    [{_, new, _, _}] = Supervisor.which_children(pid)
    true = new != partition
    hasten(new)
  end

  defp partition(registry), do: Process.whereis(Module.concat(registry, "PIDPartition0"))

  defp kill(pid) do
    monitor = Process.monitor(pid)
    Process.exit(pid, :kill)

    receive do
      {:DOWN, ^monitor, _, _, _} -> :ok
    end
  end

  defp hasten(pid) do
    :sys.replace_state(pid, fn state ->
      Process.flag(:priority, :high)
      state
    end)
  end

  defp registry_runs?(registry), do: Process.whereis(registry) != nil

  defp reads(stage, registry, fun) do
    {if(registry_runs?(registry), do: fun.(), else: not_running(registry)), stage}
  end

  defp not_running(registry) do
    false = registry_runs?(registry)
    "not_running"
  end

  defp taken_away(registry, key, fun) do
    before = Registry.values(registry, key, self())
    :ok = fun.()
    length(before) - length(Registry.values(registry, key, self()))
  end

  defp finish(stage, who, how) do
    pid = Map.get(stage.pids, who)

    if pid != nil and Process.alive?(pid) do
      monitor = Process.monitor(pid)
      if how == :kill, do: Process.exit(pid, :kill), else: send(pid, how)

      receive do
        {:DOWN, ^monitor, _, _, _} -> "ok"
      end
    else
      "dead"
    end
  end

  defp catch_exit(fun) do
    try do
      fun.()
    catch
      :exit, reason -> reason
    end
  end

  # --- the processes ---

  defp enter(stage, who, pid) do
    Process.monitor(pid)
    %{stage | pids: Map.put(stage.pids, who, pid), names: Map.put(stage.names, pid, who)}
  end

  defp person(who) do
    driver = self()

    :erlang.spawn_opt(
      fn ->
        Process.flag(:trap_exit, who in @trapping)
        live(who, driver)
      end,
      priority: :high
    )
  end

  defp live(who, driver) do
    receive do
      {:do, fun} ->
        result =
          try do
            fun.()
          rescue
            ArgumentError -> :not_running
          end

        send(driver, {:done, result})
        live(who, driver)

      {:note, number} ->
        send(driver, {:noted, "#{who}<#{number}"})
        live(who, driver)

      {:EXIT, _, reason} ->
        send(driver, {:noted, "#{who}?#{reason}"})
        live(who, driver)

      :return ->
        :ok

      :crash ->
        raise "crash"
    end
  end

  # What one of them does.
  defp by(stage, who, fun) do
    pid = stage.pids[who]

    if Process.alive?(pid) do
      send(pid, {:do, fun})

      receive do
        {:done, {:taken, holder}} -> {"taken by #{name(stage, holder)}", stage}
        {:done, result} -> {result, stage}
      end
    else
      {"dead", stage}
    end
  end
end
