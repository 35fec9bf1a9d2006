%% A client that does what it is told and says what came of it.
-module(servers_client).
-export([start/3]).

-record(client, {
    who, driver, unit, clients,
    %% The requests whose response was not taken, the oldest first.
    requests = [], collection = gen_server:reqids_new(),
    %% By place, the newest first; and all of them.
    monitors = #{0 => [], 1 => [], all => #{}}
}).

start(Who, Trap, Unit) ->
    Driver = self(),
    Live = fun() ->
        process_flag(trap_exit, Trap),
        Clients = receive {clients, All} -> All end,
        client(#client{who = Who, driver = Driver, unit = Unit, clients = Clients})
    end,
    spawn_opt(Live, [{priority, high}]).

client(#client{who = Who, driver = Driver, monitors = Monitors} = Client) ->
    receive
        {do, Command, Servers} ->
            put(servers, Servers),
            {Result, Next} = perform(Command, Client),
            Driver ! {result, Who, servers:place(Command), Result},
            client(Next);
        {'EXIT', Pid, Reason} ->
            Driver ! {notice, Who, "exit", Pid, Reason},
            client(Client);
        {'DOWN', Monitor, process, Pid, Reason} when is_map_key(Monitor, map_get(all, Monitors)) ->
            Driver ! {notice, Who, "down", Pid, Reason},
            client(Client)
    end.

perform({start, Slot, Start, Name, Limit, Life, Init, Held}, #client{driver = Driver} = Client) ->
    Args = {Driver, Client#client.clients, Client#client.unit, Slot, Start, Life, Init, Held},
    Limits = case Limit of
        short -> [{timeout, 5 * Client#client.unit}];
        infinity -> []
    end,
    Named = case Name of
        none -> [];
        _ -> [{local, servers:name(Name)}]
    end,
    case apply(gen_server, Start, Named ++ [servers_follower, Args, [{spawn_opt, [{priority, high}]} | Limits]]) of
        {ok, {Pid, Monitor}} ->
            Driver ! {started, Slot, Pid},
            Driver ! {standalone, Pid},
            {"ok", watch(Slot, Monitor, Client)};
        {ok, Pid} ->
            Driver ! {started, Slot, Pid},
            {"ok", Client};
        Failed ->
            Driver ! {failed, Slot},
            {not_started(Failed), Client}
    end;
perform({call, To, Limit, Event}, Client) ->
    {asked(fun() -> gen_server:call(server(To), Event, time(Limit, Client)) end), Client};
perform({cast, To, Event}, Client) ->
    {atom_to_list(gen_server:cast(server(To), Event)), Client};
perform({send, To, Event}, #client{requests = Requests} = Client) ->
    {"ok", Client#client{requests = Requests ++ [gen_server:send_request(server(To), Event)]}};
perform({response, _, _}, #client{requests = []} = Client) ->
    {"none", Client};
perform({response, Manner, Limit}, #client{requests = [Request | Later]} = Client) ->
    Response = case Manner of
        check_response -> gen_server:wait_response(Request, 0);
        _ -> gen_server:Manner(Request, time(Limit, Client))
    end,
    case Response of
        {reply, Value} -> {integer_to_list(Value), Client#client{requests = Later}};
        {error, {Reason, _}} -> {["down:", servers:reason(Reason)], Client#client{requests = Later}};
        timeout when Manner =:= receive_response -> {"timeout", Client#client{requests = Later}};
        timeout -> {"timeout", Client}
    end;
perform({add, To, {Number, _} = Event}, #client{collection = Collection} = Client) ->
    Added = gen_server:send_request(server(To), Event, Number, Collection),
    {"ok", Client#client{collection = Added}};
perform({gather, Manner, Limit}, #client{collection = Collection} = Client) ->
    Response = case Manner of
        check_response -> gen_server:wait_response(Collection, 0, true);
        _ -> gen_server:Manner(Collection, time(Limit, Client), true)
    end,
    case Response of
        {{reply, Value}, Label, Left} ->
            {io_lib:format("~b=~b", [Label, Value]), Client#client{collection = Left}};
        {{error, _}, _, Left} -> {"down", Client#client{collection = Left}};
        timeout when Manner =:= receive_response ->
            {"timeout", Client#client{collection = gen_server:reqids_new()}};
        Other -> {atom_to_list(Other), Client}
    end;
perform({stop, Whom, Limit, Reason}, Client) ->
    Time = case Limit of
        short -> 10 * Client#client.unit;
        infinity -> infinity
    end,
    Stop = fun() -> gen_server:stop(server(Whom), Reason, Time) end,
    case catch Stop() of
        ok -> {"ok", Client};
        %% As later versions do.
        {'EXIT', {Reason, {sys, terminate, _}}} -> {"ok", Client};
        {'EXIT', {Other, {sys, terminate, _}}} -> {failed(Other), Client};
        {'EXIT', Other} -> {failed(Other), Client}
    end;
perform({sys, Whom, Limit, Ask}, Client) ->
    {asked(fun() -> sys(Ask, server(Whom), time(Limit, Client)) end), Client};
perform({terminate, Whom, Reason}, Client) ->
    Server = server(Whom),
    case is_pid(Server) andalso is_process_alive(Server) orelse is_atom(Server) andalso whereis(Server) =/= undefined of
        true ->
            spawn_opt(fun() -> catch sys:terminate(Server, Reason, infinity) end, [{priority, high}]),
            {"ok", Client};
        false -> {"down:noproc", Client}
    end;
perform({exit, Slot, Reason}, Client) ->
    exit(server({pid, Slot}), Reason),
    {"ok", Client};
perform({link, Slot}, Client) ->
    link(server({pid, Slot})),
    {"ok", Client};
perform({unlink, Slot}, Client) ->
    unlink(server({pid, Slot})),
    {"ok", Client};
perform({monitor, Slot}, Client) ->
    {"ok", watch(Slot, monitor(process, server({pid, Slot})), Client)};
perform({demonitor, Slot}, #client{monitors = Monitors} = Client) ->
    case Monitors of
        #{Slot := [Monitor | Left]} ->
            demonitor(Monitor),
            {"ok", Client#client{monitors = Monitors#{Slot := Left}}};
        _ -> {"none", Client}
    end;
perform({whereis, Slot}, Client) ->
    case whereis(servers:name(Slot)) of
        undefined -> {"none", Client};
        Pid -> {[{who, Pid}], Client}
    end;
perform({answer, none, _}, Client) -> {"none", Client};
perform({answer, From, Value}, Client) ->
    gen_server:reply(From, Value),
    {"ok", Client};
perform({'end', Reason}, _) -> exit(Reason).

not_started(ignore) -> "ignore";
not_started({error, {already_started, Pid}}) -> ["taken:", {who, Pid}];
not_started({error, timeout}) -> "timeout";
not_started({error, Reason}) -> ["failed:", servers:reason(Reason)].

watch(Slot, Monitor, #client{monitors = Monitors} = Client) ->
    #{Slot := Newest, all := All} = Monitors,
    Client#client{monitors = Monitors#{Slot := [Monitor | Newest], all := All#{Monitor => Slot}}}.

server({pid, Slot}) -> maps:get(Slot, get(servers));
server({name, Slot}) -> servers:name(Slot).

time(zero, _) -> 0;
time(short, #client{unit = Unit}) -> Unit;
time(infinity, _) -> infinity.

asked(Ask) ->
    try Ask() of
        Value when is_integer(Value) -> integer_to_list(Value);
        ok -> "ok";
        Words -> Words
    catch
        exit:{Reason, {_, _, _}} -> failed(Reason);
        error:{callback_failed, _, _} -> "failed"
    end.

failed(timeout) -> "timeout";
failed(Reason) -> ["down:", servers:reason(Reason)].

sys(suspend, Server, Time) -> sys:suspend(Server, Time);
sys(resume, Server, Time) -> sys:resume(Server, Time);
sys(get_state, Server, Time) -> servers_follower:state(sys:get_state(Server, Time));
sys({replace_state, State}, Server, Time) ->
    State = servers_follower:state(sys:replace_state(Server, fun(Old) -> servers_follower:with_state(State, Old) end, Time)),
    ok;
sys(crash, Server, Time) -> sys:replace_state(Server, fun(_) -> error(crash) end, Time);
sys(get_status, Server, Time) ->
    case sys:get_status(Server, Time) of
        {status, Pid, _, [_, Condition, Parent | _]} ->
            [atom_to_list(Condition), ":", {parent, Pid, Parent}]
    end.
