%% Servers on OTP's gen_server that do what a script says, and three clients
%% that start, call, stop and look into them.
%%
%% Clients and servers have the priority `high`, who plays the script has
%% `normal`: so the next step is taken when everything has come to rest.
%%
%% What is limited in time is over only in the steps that wait: a call after one
%% unit, a start after 5, a stop after 10 or a bit less, a server's own time-out
%% after 14 or 18. A script that was too slow for that is played again with a
%% longer unit.
-module(servers).
-behaviour(gen_server).
-export([run/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2, terminate/2]).

-define(CLIENTS, [a, b, c]).
-define(SLOTS, [0, 1]).
-define(NAMES, [n0, n1]).

%% Nobody waits for code to be loaded while a script is played.
run(Script) ->
    persistent_term:get(?MODULE, unloaded) =:= loaded orelse load(),
    run(Script, 2).

%% The logger keeps the level of each module where a write waits for all
%% threads.
load() ->
    [begin {ok, Modules} = application:get_key(Part, modules), code:ensure_modules_loaded(Modules) end
     || Part <- [kernel, stdlib]],
    [logger:allow(error, Module) || Module <- [gen, gen_server, proc_lib, sys]],
    persistent_term:put(?MODULE, loaded).

run(Script, Unit) ->
    {Driver, Monitor} = spawn_monitor(fun() -> exit(play(Script, Unit)) end),
    receive
        {'DOWN', Monitor, process, Driver, {seen, Words}} -> lists:join(" | ", Words);
        {'DOWN', Monitor, process, Driver, late} when Unit < 64 -> run(Script, 4 * Unit);
        {'DOWN', Monitor, process, Driver, Reason} -> exit(Reason)
    end.

%% Who is where, and what is under way.
-record(stage, {
    unit, clients, monitors, names, nobody,
    %% What each client does: `idle`, `busy`, `ended`, or that for which it
    %% waits no longer than it may.
    doing,
    %% Who was started at each place last, who is about to start one, and who
    %% was born there since then.
    servers, starters = #{}, born = #{},
    gates = #{}, handed = [],
    %% Who was started with a monitor.
    standalone = [],
    %% Whose time-outs run, and since when something may be over.
    armed = [], since = never,
    %% Whoever has to go at last.
    all
}).

play({Traps, Steps}, Unit) ->
    Nobody = spawn(fun() -> ok end),
    Clients = [{Who, spawn_client(Who, Trap, Unit)} || {Who, Trap} <- lists:zip(?CLIENTS, Traps)],
    [Pid ! {clients, maps:from_list(Clients)} || {_, Pid} <- Clients],
    Stage = #stage{
        unit = Unit, nobody = Nobody, clients = maps:from_list(Clients),
        monitors = maps:from_list([{monitor(process, Pid), Who} || {Who, Pid} <- Clients]),
        names = maps:from_list([{Nobody, "nobody"} | [{Pid, atom_to_list(Who)} || {Who, Pid} <- Clients]]),
        doing = maps:from_list([{Who, idle} || Who <- ?CLIENTS]),
        servers = maps:from_list([{Slot, Nobody} || Slot <- ?SLOTS]),
        all = [Pid || {_, Pid} <- Clients]
    },
    rest(),
    try
        {Words, End} = lists:mapfoldl(fun step/2, Stage, Steps),
        is_late(End),
        clear(End),
        {seen, Words}
    catch throw:{late, Left} -> clear(Left), late
    end.

step(Step, Stage) ->
    Began = now_ms(),
    Taken = take(Step, Stage),
    Passed = case Step of
        wait -> now_ms();
        _ -> Began
    end,
    {Word, After} = word(Taken),
    {Word, since(Passed, After)}.

%% Since when something may be over in time that must not be yet.
since(Began, #stage{since = never, armed = Armed, doing = Doing} = Stage) ->
    case Armed =/= [] orelse lists:any(fun is_limited/1, maps:values(Doing)) of
        true -> Stage#stage{since = Began};
        false -> Stage
    end;
since(_, Stage) -> Stage.

is_late(#stage{since = never}) -> ok;
is_late(#stage{since = Since, unit = Unit} = Stage) ->
    now_ms() < Since + Unit orelse throw({late, Stage}).

is_limited({limited, _}) -> true;
is_limited(_) -> false.

take({do, Who, Command}, Stage) ->
    Place = place(Command),
    case (Place =:= none orelse is_vacant(Place, Stage)) andalso maps:get(Who, Stage#stage.doing) of
        idle -> order(Who, Place, Command, Stage);
        _ -> Stage
    end;
take({release, Slot}, #stage{gates = Gates} = Stage) ->
    case maps:take(Slot, Gates) of
        {{Pid, Gate}, Left} -> Pid ! {release, Gate}, Stage#stage{gates = Left};
        error -> Stage
    end;
take(wait, Stage) ->
    is_late(Stage),
    wait(Stage),
    Stage#stage{since = never}.

place({start, Slot, _, _, _, _, _, _}) -> Slot;
place(_) -> none.

is_vacant(Slot, #stage{starters = Starters} = Stage) ->
    not is_map_key(Slot, Starters) andalso not is_taken(Slot, Stage).

is_taken(Slot, #stage{servers = Servers}) -> is_process_alive(maps:get(Slot, Servers)).

order(Who, Place, Command, #stage{clients = Clients, doing = Doing, servers = Servers} = Stage) ->
    {Order, Handed} = case {Command, Stage#stage.handed} of
        {{answer, Value}, [From | Left]} -> {{answer, From, Value}, Left};
        {{answer, Value}, []} -> {{answer, none, Value}, []};
        {_, All} -> {Command, All}
    end,
    maps:get(Who, Clients) ! {do, Order, Servers},
    Ordered = Stage#stage{doing = Doing#{Who := doing(Command)}, handed = Handed},
    case Place of
        none -> Ordered;
        Slot ->
            Starters = (Stage#stage.starters)#{Slot => Who},
            Ordered#stage{starters = Starters, born = maps:remove(Slot, Stage#stage.born)}
    end.

doing({start, _, _, _, short, _, _, _}) -> {limited, start};
doing({call, _, short, _}) -> {limited, call};
doing({response, _, short}) -> {limited, call};
doing({gather, _, short}) -> {limited, call};
doing({stop, _, short, _}) -> {limited, stop};
doing({sys, _, short, _}) -> {limited, call};
doing(_) -> busy.

%% Waits until what is under way is over, the shortest first. Something that
%% was due long before must have come before what is due next.
wait(#stage{doing = Doing, armed = Armed} = Stage) ->
    Clients = maps:values(Doing),
    Levels = [{2, lists:member({limited, call}, Clients)}, {6, lists:member({limited, start}, Clients)},
              {11, lists:member({limited, stop}, Clients)},
              {15, lists:member(0, Armed)}, {19, lists:member(1, Armed)}],
    wait([At || {At, true} <- Levels], now_ms(), Stage).

wait([], _, _) -> ok;
wait([At | Later], Began, #stage{unit = Unit} = Stage) ->
    receive after max(0, ceil(Began + At * Unit - now_ms())) -> ok end,
    rest(),
    Later =:= [] orelse now_ms() < Began + (At + 2) * Unit orelse throw({late, Stage}),
    wait(Later, Began, Stage).

now_ms() -> erlang:monotonic_time(microsecond) / 1000.

%% Helpers have the priority of the driver.
rest() -> [erlang:yield() || _ <- lists:seq(1, 10)].

%% What was seen since the last step, in the words that Resurgam has for it.
word(Stage) ->
    rest(),
    {Notes, Heard} = hear([], Stage),
    case orphans(Heard) of
        [] -> {lists:join(" ", words(Notes, Heard)), settled(Heard)};
        Orphans ->
            [exit(Pid, kill) || Pid <- Orphans],
            rest(),
            {More, Left} = hear(Notes, settled(Heard)),
            {lists:join(" ", words(More, Left)), settled(Left)}
    end.

%% Servers that wait in `init` while whoever starts them has ended.
orphans(#stage{starters = Starters, doing = Doing, born = Born}) ->
    [Pid || {Slot, Who} <- maps:to_list(Starters), maps:get(Who, Doing) =:= ended,
            {At, Pid} <- maps:to_list(Born), At =:= Slot].

%% What is left at the end of a step. A place whose server has ended is as if
%% nobody had been there: its starter may have ended before it knew.
settled(#stage{starters = Starters, doing = Doing, servers = Servers, nobody = Nobody} = Stage) ->
    Left = maps:filter(fun(_, Who) -> maps:get(Who, Doing) =/= ended end, Starters),
    Taken = [Slot || Slot <- ?SLOTS, is_taken(Slot, Stage)],
    Alive = maps:map(fun(Slot, Pid) ->
        case lists:member(Slot, Taken) of true -> Pid; false -> Nobody end
    end, Servers),
    Armed = [Slot || Slot <- Stage#stage.armed, lists:member(Slot, Taken)],
    Stage#stage{starters = Left, servers = Alive, armed = Armed}.

hear(Notes, #stage{doing = Doing, names = Names} = Stage) ->
    receive
        {result, Who, Slot, Result} ->
            Starters = maps:remove(Slot, Stage#stage.starters),
            Done = Stage#stage{doing = Doing#{Who := idle}, starters = Starters},
            hear([{result, Who, Result} | Notes], Done);
        {started, Slot, Pid} ->
            hear(Notes, Stage#stage{servers = (Stage#stage.servers)#{Slot := Pid}});
        {standalone, Pid} ->
            hear(Notes, Stage#stage{standalone = [Pid | Stage#stage.standalone]});
        {failed, Slot} ->
            Failed = maps:get(Slot, Stage#stage.born, none),
            hear(Notes, Stage#stage{names = maps:remove(Failed, Names)});
        {born, Slot, Pid} ->
            Born = Stage#stage{born = (Stage#stage.born)#{Slot => Pid}, all = [Pid | Stage#stage.all]},
            hear(Notes, Born#stage{names = Names#{Pid => [$s, $0 + Slot]}});
        {holds, Slot, Pid, Gate} ->
            hear(Notes, Stage#stage{gates = (Stage#stage.gates)#{Slot => {Pid, Gate}}});
        {handed, From} ->
            hear(Notes, Stage#stage{handed = Stage#stage.handed ++ [From]});
        {armed, Slot} ->
            hear(Notes, Stage#stage{armed = [Slot | Stage#stage.armed]});
        {server, Slot, _} = Note ->
            hear([Note | Notes], Stage#stage{armed = lists:delete(Slot, Stage#stage.armed)});
        {notice, _, _, _, _} = Note ->
            hear([Note | Notes], Stage);
        {'DOWN', Monitor, process, _, Reason} ->
            Who = maps:get(Monitor, Stage#stage.monitors),
            Ended = [{ended, Who, Reason} | Notes],
            hear(Ended, Stage#stage{doing = Doing#{Who := ended}})
    after 0 -> {Notes, Stage}
    end.

words(Notes, Stage) ->
    case seen(Notes, Stage) of
        [] -> ["-"];
        Words -> Words
    end.

seen(Notes, Stage) ->
    lists:append([client(Who, Notes, Stage) || Who <- ?CLIENTS]) ++
    lists:append([server(Slot, Notes, Stage) || Slot <- ?SLOTS]) ++
    [[$+, $0 + Slot] || Slot <- ?SLOTS, is_taken(Slot, Stage)].

%% Of one that ended in this step nobody knows how far it came before. Who is
%% a stranger has failed to start: OTP 25 leaves its exit in the mailbox.
client(Who, Notes, #stage{doing = Doing, names = Names} = Stage) ->
    Name = atom_to_list(Who),
    Results = lists:reverse([Result || {result, Of, Result} <- Notes, Of =:= Who]),
    Told = lists:sort([lists:flatten([Kind, ":", maps:get(Pid, Names), ":", reason(Reason)])
                       || {notice, Of, Kind, Pid, Reason} <- Notes, Of =:= Who, is_map_key(Pid, Names)]),
    Busy = case maps:get(Who, Doing) of
        idle -> "";
        ended -> "";
        _ -> "~"
    end,
    case [Reason || {ended, Of, Reason} <- Notes, Of =:= Who] of
        [Reason] -> [[Name, "!", reason(Reason)]];
        [] when Results =:= [], Told =:= [], Busy =:= "" -> [];
        [] ->
            Said = [said(Result, Stage) || Result <- Results],
            [[Name, "[", lists:join(",", Said), "|", lists:join(",", Told), "]", Busy]]
    end.

server(Slot, Notes, Stage) ->
    case lists:reverse([said(Note, Stage) || {server, At, Note} <- Notes, At =:= Slot]) of
        [] -> [];
        Seen -> [["s", $0 + Slot, "[", lists:join(",", Seen), "]"]]
    end.

said({who, Pid}, #stage{names = Names}) -> maps:get(Pid, Names, "stranger");
said({parent, Pid, Pid}, _) -> "none";
%% OTP takes the starter for the parent of one that it calls standalone.
said({parent, Pid, Parent}, Stage) ->
    case lists:member(Pid, Stage#stage.standalone) of
        true -> "none";
        false -> said({who, Parent}, Stage)
    end;
said(Parts, Stage) when is_list(Parts) -> [said(Part, Stage) || Part <- Parts];
said(Char, _) -> Char.

%% The names are free and nothing runs any more.
clear(#stage{all = All}) ->
    Named = [whereis(Name) || Name <- ?NAMES],
    Monitors = [begin exit(Pid, kill), monitor(process, Pid) end || Pid <- All ++ Named, is_pid(Pid)],
    [receive {'DOWN', Monitor, process, _, _} -> ok end || Monitor <- Monitors].

reason({shutdown, Term}) -> ["shutdown:", integer_to_list(Term)];
reason({Reason, Stack}) when is_list(Stack) -> reason(Reason);
reason(Reason) when is_atom(Reason) -> atom_to_list(Reason);
reason(Reason) -> io_lib:format("~0p", [Reason]).

%%% Clients

-record(client, {
    who, driver, unit, clients,
    %% The requests whose response was not taken, the oldest first.
    requests = [], collection = gen_server:reqids_new(),
    %% By place, the newest first; and all of them.
    monitors = #{0 => [], 1 => [], all => #{}}
}).

spawn_client(Who, Trap, Unit) ->
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
            Driver ! {result, Who, place(Command), Result},
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
        _ -> [{local, name(Name)}]
    end,
    case apply(gen_server, Start, Named ++ [?MODULE, Args, [{spawn_opt, [{priority, high}]} | Limits]]) of
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
        {error, {Reason, _}} -> {["down:", reason(Reason)], Client#client{requests = Later}};
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
    case whereis(name(Slot)) of
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
not_started({error, Reason}) -> ["failed:", reason(Reason)].

watch(Slot, Monitor, #client{monitors = Monitors} = Client) ->
    #{Slot := Newest, all := All} = Monitors,
    Client#client{monitors = Monitors#{Slot := [Monitor | Newest], all := All#{Monitor => Slot}}}.

server({pid, Slot}) -> maps:get(Slot, get(servers));
server({name, Slot}) -> name(Slot).

name(0) -> n0;
name(1) -> n1.

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
failed(Reason) -> ["down:", reason(Reason)].

%%% Looking in

sys(suspend, Server, Time) -> sys:suspend(Server, Time);
sys(resume, Server, Time) -> sys:resume(Server, Time);
sys(get_state, Server, Time) -> state(sys:get_state(Server, Time));
sys({replace_state, State}, Server, Time) ->
    State = state(sys:replace_state(Server, fun(Old) -> with_state(State, Old) end, Time)),
    ok;
sys(crash, Server, Time) -> sys:replace_state(Server, fun(_) -> error(crash) end, Time);
sys(get_status, Server, Time) ->
    case sys:get_status(Server, Time) of
        {status, Pid, _, [_, Condition, Parent | _]} ->
            [atom_to_list(Condition), ":", {parent, Pid, Parent}]
    end.

%%% Servers

%% The state is the number of events handled, if nobody replaces it.
-record(server, {
    state = 0, driver, clients, unit, slot, start, on_info, on_end,
    %% The calls without a reply, by the numbers of their events, the newest
    %% first.
    pending = [],
    on_timeout
}).

state(#server{state = State}) -> State.

with_state(State, Server) -> Server#server{state = State}.

init({Driver, Clients, Unit, Slot, Start, {Trap, OnInfo, OnEnd}, Init, Held}) ->
    Driver ! {born, Slot, self()},
    Server = #server{driver = Driver, clients = Clients, unit = Unit, slot = Slot,
                     start = Start, on_info = OnInfo, on_end = OnEnd},
    trap(Trap, Server),
    note("init", Server),
    Held andalso hold(Server),
    case Init of
        {ok, Then} ->
            {New, Order} = order(Then, Server),
            list_to_tuple([ok, New | Order]);
        ignore -> ignore;
        {stop, Reason} -> {stop, Reason};
        {raise, Reason} -> exit(Reason);
        crash -> error(crash)
    end.

handle_call({Number, _} = Event, From, #server{pending = Pending} = Server) ->
    play("call", Event, From, Server#server{pending = [{Number, From} | Pending]}).

handle_cast(Event, Server) -> play("cast", Event, none, Server).

handle_continue(Event, Server) -> play("continue", Event, none, Server).

handle_info(timeout, #server{on_timeout = Event} = Server) ->
    play("timeout", Event, none, Server#server{on_timeout = none});
handle_info({'EXIT', Pid, Reason}, Server) -> info("exit", Pid, Reason, Server);
handle_info({'DOWN', _, process, Pid, Reason}, Server) -> info("down", Pid, Reason, Server).

info(Kind, Pid, Reason, #server{on_info = Plan} = Server) ->
    note([Kind, ":", {who, Pid}, ":", reason(Reason)], Server),
    follow({0, Plan}, none, Server).

terminate(Reason, #server{on_end = OnEnd} = Server) ->
    note(["terminate:", reason(Reason)], Server),
    case OnEnd of
        nothing -> ok;
        hold -> hold(Server);
        crash -> error(crash)
    end.

play(Kind, {Number, _} = Event, From, Server) ->
    note([Kind, integer_to_list(Number)], Server),
    follow(Event, From, Server).

follow({Number, {Acts, End}}, From, Server) ->
    #server{state = State} = Done = lists:foldl(fun(Act, S) -> act(Act, Number, S) end, Server, Acts),
    Next = Done#server{state = State + 1},
    case {End, Done#server.pending} of
        {{ok, Then}, _} ->
            {New, Order} = order(Then, Next),
            list_to_tuple([noreply, New | Order]);
        {{stop, Reason}, _} -> {stop, Reason, Next};
        {{stop_reply, Reason}, [{Number, From} | Left]} ->
            {stop, Reason, Number, Next#server{pending = Left}};
        {{stop_reply, Reason}, _} -> {stop, Reason, Next};
        {{raise, Reason}, _} -> exit(Reason);
        {crash, _} -> error(crash)
    end.

%% The state, and what follows it in what the callback returns.
order(nothing, Server) -> {Server, []};
order(hibernate, Server) -> {Server, [hibernate]};
order({continue, Event}, Server) -> {Server, [{continue, Event}]};
order({timeout, zero, Event}, Server) -> {Server#server{on_timeout = Event}, [0]};
order({timeout, short, Event}, #server{driver = Driver, slot = Slot, unit = Unit} = Server) ->
    Driver ! {armed, Slot},
    {Server#server{on_timeout = Event}, [(14 + 4 * Slot) * Unit]}.

act(reply, Number, #server{pending = [{_, From} | Left]} = Server) ->
    gen_server:reply(From, Number),
    Server#server{pending = Left};
act(reply_oldest, Number, #server{pending = [_ | _] = Pending} = Server) ->
    {_, From} = lists:last(Pending),
    gen_server:reply(From, Number),
    Server#server{pending = lists:droplast(Pending)};
act(hand_out, _, #server{driver = Driver, pending = [{_, From} | Left]} = Server) ->
    Driver ! {handed, From},
    Server#server{pending = Left};
act({cast_self, Event}, _, Server) ->
    gen_server:cast(self(), Event),
    Server;
act(call_self, _, Server) ->
    {'EXIT', {calling_self, _}} = (catch gen_server:call(self(), nothing, infinity)),
    note("calling_self", Server),
    Server;
act(hold, _, Server) ->
    hold(Server),
    Server;
act({trap, Trap}, _, Server) ->
    trap(Trap, Server),
    Server;
act({link, Who}, _, #server{clients = Clients} = Server) ->
    Pid = maps:get(Who, Clients),
    is_process_alive(Pid) andalso link(Pid),
    Server;
act({monitor, Who}, _, #server{clients = Clients} = Server) ->
    Pid = maps:get(Who, Clients),
    is_process_alive(Pid) andalso monitor(process, Pid),
    Server;
act({exit_self, Reason}, _, #server{start = Start} = Server) ->
    %% One that nobody is linked to is its own parent here.
    Start =:= start_link orelse trap(false, Server),
    exit(self(), Reason),
    Server;
act(_, _, Server) -> Server.

%% One that was started with a monitor does not: it would end by any exit of
%% the starter.
trap(Trap, #server{start = Start}) ->
    process_flag(trap_exit, Trap andalso Start =/= start_monitor).

note(What, #server{driver = Driver, slot = Slot, state = State}) ->
    Driver ! {server, Slot, [What, "@", integer_to_list(State)]}.

%% Waits until the script lets this place go on.
hold(#server{driver = Driver, slot = Slot}) ->
    Gate = make_ref(),
    Driver ! {holds, Slot, self(), Gate},
    receive {release, Gate} -> ok end.
