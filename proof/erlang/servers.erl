%% Servers on OTP's gen_server that do what a script says, and three clients
%% that start, call, stop and look into them: see servers_follower.erl and
%% servers_client.erl. Here a script is played, one step after the other.
%%
%% Clients and servers have the priority `high`, who plays the script has
%% `normal`: so the next step is taken when everything has come to rest.
%%
%% What is limited in time is over only in the steps that wait: a call after one
%% unit, a start after 5, a stop after 10 or a bit less, a server's own time-out
%% after 14 or 18. A script that was too slow for that is played again with a
%% longer unit.
-module(servers).
-export([run/1, place/1, name/1, reason/1]).

-define(CLIENTS, [a, b, c]).
-define(SLOTS, [0, 1]).

%% Nobody waits for code to be loaded while a script is played.
run(Script) ->
    persistent_term:get(?MODULE, unloaded) =:= loaded orelse load(),
    run(Script, 2).

%% The logger keeps the level of each module where a write waits for all
%% threads.
load() ->
    [begin {ok, Modules} = application:get_key(Part, modules), code:ensure_modules_loaded(Modules) end
     || Part <- [kernel, stdlib]],
    ok = code:ensure_modules_loaded([servers_client, servers_follower]),
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
    %% When this step was begun.
    began,
    %% Whoever has to go at last.
    all
}).

play({Traps, Steps}, Unit) ->
    Nobody = spawn(fun() -> ok end),
    Clients = [{Who, servers_client:start(Who, Trap, Unit)} || {Who, Trap} <- lists:zip(?CLIENTS, Traps)],
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
    Taken = take(Step, Stage#stage{began = now_ms()}),
    Passed = case Step of
        wait -> Taken#stage{began = now_ms()};
        _ -> Taken
    end,
    {Word, #stage{armed = Armed, doing = Doing} = After} = word(Passed),
    case Armed =/= [] orelse lists:any(fun is_limited/1, maps:values(Doing)) of
        true -> {Word, hurry(After)};
        false -> {Word, After}
    end.

%% From this step on something may be over in time that must not be yet.
hurry(#stage{since = never, began = Began} = Stage) -> Stage#stage{since = Began};
hurry(Stage) -> Stage.

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

%% Where a server is about to be started.
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
    Told = Stage#stage{doing = Doing#{Who := doing(Command)}, handed = Handed},
    Ordered = case is_limited(doing(Command)) of
        true -> hurry(Told);
        false -> Told
    end,
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
            hear(Notes, hurry(Stage#stage{armed = [Slot | Stage#stage.armed]}));
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
    Named = [whereis(name(Slot)) || Slot <- ?SLOTS],
    Monitors = [begin exit(Pid, kill), monitor(process, Pid) end || Pid <- All ++ Named, is_pid(Pid)],
    [receive {'DOWN', Monitor, process, _, _} -> ok end || Monitor <- Monitors].

%% The name that belongs to a place.
name(0) -> n0;
name(1) -> n1.

%% A reason, as both sides call it.
reason({shutdown, Term}) -> ["shutdown:", integer_to_list(Term)];
reason({Reason, Stack}) when is_list(Stack) -> reason(Reason);
reason(Reason) when is_atom(Reason) -> atom_to_list(Reason);
reason(Reason) -> io_lib:format("~0p", [Reason]).
