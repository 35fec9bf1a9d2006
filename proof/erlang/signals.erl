%% A program: processes that link, monitor, send and end, one step at a time.
-module(signals).
-export([run/1]).

%% A driver knows of each process: its pid, what it is at, what it saw (latest
%% first), and why it ended.
-record(actor, {pid, at = busy, log = [], mail = [], reason}).

run({Initial, Processes, Steps}) ->
    Unborn = maps:from_list([{Who, #actor{}} || Who <- lists:seq(0, Processes - 1)]),
    Driver = self(),
    lists:foreach(fun(Who) -> start(Driver, Who) end, lists:seq(0, Initial - 1)),
    Begun = rest(Unborn),
    Done = lists:foldl(fun step/2, Begun, Steps),
    States = maps:map(fun(_, Actor) -> state(Done, Actor) end, Done),
    Emptied = rest(maps:map(fun(_, Actor) -> order(Actor, empty) end, Done)),
    Line = [[" | " || Who > 0] ++ outcome(Emptied, maps:get(Who, Emptied), maps:get(Who, States))
            || Who <- lists:seq(0, Processes - 1)],
    dismiss(Emptied),
    Line.

start(Driver, Who) ->
    spawn_opt(fun() -> born(Driver, Who) end, [{priority, high}]).

step({Who, Op}, Actors) ->
    Pids = maps:map(fun(_, Actor) -> Actor#actor.pid end, Actors),
    Actor = maps:get(Who, Actors),
    rest(Actors#{Who := order(Actor, {Op, Pids})}).

%% Only one who waits for orders takes them.
order(#actor{at = idle, reason = undefined, pid = Pid} = Actor, Order) ->
    Pid ! {order, Order},
    Actor#actor{at = busy};
order(Actor, _) ->
    Actor.

%% While a process of the program can run, this one cannot.
rest(Actors) ->
    erlang:yield(),
    listen(Actors).

listen(Actors) ->
    receive
        {born, Who, Pid} ->
            monitor(process, Pid),
            listen(change(Who, Actors, fun(A) -> A#actor{pid = Pid} end));
        {at, Who, At} ->
            listen(change(Who, Actors, fun(A) -> A#actor{at = At} end));
        {log, Who, Seen} ->
            listen(change(Who, Actors, fun(A) -> A#actor{log = [Seen | A#actor.log]} end));
        {mail, Who, Seen} ->
            listen(change(Who, Actors, fun(A) -> A#actor{mail = [Seen | A#actor.mail]} end));
        {'DOWN', _, process, Pid, Reason} ->
            listen(change(who(Pid, Actors), Actors, fun(A) -> A#actor{reason = {ended, Reason}} end))
    after 0 ->
        Actors
    end.

change(Who, Actors, Fun) ->
    maps:update_with(Who, Fun, Actors).

who(Pid, Actors) ->
    [Who] = [Who || {Who, #actor{pid = P}} <- maps:to_list(Actors), P =:= Pid],
    Who.

dismiss(Actors) ->
    Living = [Pid || #actor{pid = Pid, reason = undefined} <- maps:values(Actors), Pid =/= undefined],
    lists:foreach(fun(Pid) -> exit(Pid, kill) end, Living),
    [receive {'DOWN', _, process, Pid, _} -> ok end || Pid <- Living].

%% --- what is seen ---

state(Actors, #actor{pid = Pid, reason = undefined}) when is_pid(Pid) ->
    Items = [trap_exit, links, monitors, monitored_by, registered_name],
    [{_, Traps}, {_, Links}, {_, Monitors}, {_, By}, {_, Name}] = process_info(Pid, Items),
    Whos = fun(Pids) ->
        Sorted = lists:sort([who(P, Actors) || P <- Pids, P =/= self()]),
        lists:join($,, [integer_to_list(Who) || Who <- Sorted])
    end,
    Registered = case Name of
        [] -> "";
        _ -> atom_to_list(Name)
    end,
    io_lib:format(" traps=~p links=~s monitors=~p by=~s name=~s",
                  [Traps, Whos(Links), length(Monitors), Whos(By), Registered]);
state(_, _) ->
    "".

outcome(_, #actor{pid = undefined}, _) ->
    "unborn";
outcome(Actors, #actor{reason = {ended, Reason}, log = Log}, _) ->
    ["dead.", reason(Reason), " log=", seen(Log, Actors)];
outcome(Actors, #actor{log = Log, mail = Mail}, State) ->
    ["alive log=", seen(Log, Actors), " mail=", seen(Mail, Actors), State].

seen(LatestFirst, Actors) ->
    lists:join($,, [text(Seen, Actors) || Seen <- lists:reverse(LatestFirst)]).

text({message, Tag}, _) -> ["m", integer_to_list(Tag)];
text({exit, From, Reason}, Actors) ->
    ["e", integer_to_list(who(From, Actors)), ".", reason(Reason)];
text({down, Number, Reason}, _) -> ["d", integer_to_list(Number), ".", reason(Reason)];
text(nothing, _) -> "-";
text({found, undefined}, _) -> "w:nobody";
text({found, Pid}, Actors) -> ["w:", integer_to_list(who(Pid, Actors))];
text({What, Bool}, _) -> [What, ":", atom_to_list(Bool)].

%% An error has its stack with it.
reason({Reason, Stack}) when is_list(Stack) -> reason(Reason);
reason(Reason) -> atom_to_list(Reason).

%% --- the processes ---

%% Monitors are kept in a list, in the order they were made.
-record(me, {driver, who, monitors = []}).

born(Driver, Who) ->
    Driver ! {born, Who, self()},
    loop(#me{driver = Driver, who = Who}).

loop(#me{driver = Driver, who = Who} = Me) ->
    Driver ! {at, Who, idle},
    receive
        {order, empty} ->
            empty(Me),
            loop(Me);
        {order, {Op, Pids}} ->
            loop(act(Op, Pids, Me))
    end.

empty(#me{driver = Driver, who = Who} = Me) ->
    case poll(Me) of
        nothing -> ok;
        Seen -> Driver ! {mail, Who, Seen}, empty(Me)
    end.

log(#me{driver = Driver, who = Who} = Me, Seen) ->
    Driver ! {log, Who, Seen},
    Me.

%% A step about a process that is not born yet does nothing.
act(Op, Pids, Me) ->
    case about(Op) of
        none -> act(Op, Me);
        Other ->
            case Pids of
                #{Other := undefined} -> Me;
                #{Other := Pid} -> act(setelement(tuple_size(Op), swap(Op), Pid), Me)
            end
    end.

%% The process stands last when a step is carried out.
about({Op, Other, _}) when Op =:= send; Op =:= exit -> Other;
about({Op, Other}) when Op =:= link; Op =:= unlink; Op =:= monitor; Op =:= is_alive -> Other;
about({register, _, Other}) -> Other;
about(_) -> none.

swap({Op, Other, Argument}) when Op =:= send; Op =:= exit -> {Op, Argument, Other};
swap(Op) -> Op.

act({send, Tag, Pid}, Me) ->
    Pid ! {message, Tag},
    Me;
act({send_name, Name, Tag}, Me) ->
    log(Me, {"s", works(fun() -> Name ! {message, Tag} end)});
act({link, Pid}, Me) ->
    link(Pid),
    Me;
act({unlink, Pid}, Me) ->
    unlink(Pid),
    Me;
act({monitor, Target}, Me) ->
    remember(monitor(process, Target), Me);
act({monitor_name, Name}, Me) ->
    remember(monitor(process, Name), Me);
act({demonitor, Number}, Me) ->
    demonitor(Number, [info], Me);
act({demonitor_flush, Number}, Me) ->
    demonitor(Number, [flush, info], Me);
%% EXIT-09: before OTP 29 this ended a process that does not trap exits.
act({exit, normal, Pid}, Me) when Pid =:= self() ->
    case process_info(self(), trap_exit) of
        {trap_exit, true} -> exit(Pid, normal);
        {trap_exit, false} -> ok
    end,
    Me;
act({exit, Reason, Pid}, Me) ->
    exit(Pid, Reason),
    Me;
act({trap_exit, Trap}, Me) ->
    log(Me, {"t", process_flag(trap_exit, Trap)});
act({register, Name, Pid}, Me) ->
    log(Me, {"r", works(fun() -> register(Name, Pid) end)});
act({unregister, Name}, Me) ->
    log(Me, {"u", works(fun() -> unregister(Name) end)});
act({whereis, Name}, Me) ->
    log(Me, {found, whereis(Name)});
act({spawn, Child}, Me) ->
    start(Me#me.driver, Child),
    Me;
act({spawn_link, Child}, #me{driver = Driver} = Me) ->
    spawn_opt(fun() -> born(Driver, Child) end, [link, {priority, high}]),
    Me;
act({spawn_monitor, Child}, #me{driver = Driver} = Me) ->
    {_, Monitor} = spawn_opt(fun() -> born(Driver, Child) end, [monitor, {priority, high}]),
    remember(Monitor, Me);
act(take, #me{driver = Driver, who = Who} = Me) ->
    Driver ! {at, Who, mail},
    log(Me, take(Me, infinity));
act(poll, Me) ->
    log(Me, poll(Me));
act({is_alive, Pid}, Me) ->
    log(Me, {"a", is_process_alive(Pid)});
act({return, normal}, _) ->
    exit(normal);
act({return, Reason}, _) ->
    exit(Reason);
act(panic, _) ->
    error(panic).

works(Fun) ->
    try Fun() of _ -> true catch error:badarg -> false end.

remember(Monitor, #me{monitors = Monitors} = Me) ->
    Me#me{monitors = Monitors ++ [Monitor]}.

demonitor(Number, Options, #me{monitors = Monitors} = Me) when Number < length(Monitors) ->
    log(Me, {"x", erlang:demonitor(lists:nth(Number + 1, Monitors), Options)});
demonitor(_, _, Me) ->
    Me.

poll(Me) ->
    take(Me, 0).

%% The oldest entry of the mailbox. Orders do not come while one is waited for.
take(#me{monitors = Monitors}, Timeout) ->
    receive
        {message, Tag} -> {message, Tag};
        {'EXIT', From, Reason} -> {exit, From, Reason};
        {'DOWN', Monitor, process, _, Reason} -> {down, number(Monitor, Monitors), Reason}
    after Timeout ->
        nothing
    end.

number(Monitor, [Monitor | _]) -> 0;
number(Monitor, [_ | Others]) -> 1 + number(Monitor, Others).
