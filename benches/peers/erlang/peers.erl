%% The workloads in Erlang. The first argument is the function, the second how
%% many operations the figure is divided by, the others are its sizes.
-module(peers).
-behaviour(gen_server).

-export([main/1, crasher/2, idle_child/0, idle_child/1, server/1]).
-export([init/1, handle_call/3, handle_cast/2]).
-export([spawn/1, idle/1, idle_server/1, spawn_idle/1, ping_pong/2, ring/2,
         fan_in/2, fan_out/2, call/3, backlog/1, links_ending/1, chain/1,
         monitors_on_one/1, monitors_by_one/1, restarts/1, first_answer/2,
         one_for_all/2, dynamic_start/1, timer_cancelled/1, timer_fired/1,
         look_up/2, send_by_name/1, register/1, big/2, chameneos/2]).

-compile({no_auto_import, [spawn/1, register/2]}).

-define(BURST, 10000).
-define(BATCH, 1000).
-define(NAMES, 1000).
-define(HOUR, 3600000).

%% How a server crashes.
-define(STOP, 0).
-define(RAISE, 1).

main([Name | Numbers]) ->
    logger:set_primary_config(level, none),
    [Operations | Sizes] = [list_to_integer(Number) || Number <- Numbers],
    {Driver, Monitor} = spawn_monitor(fun() ->
        exit({done, apply(?MODULE, list_to_existing_atom(Name), Sizes)})
    end),
    receive
        {'DOWN', Monitor, process, Driver, {done, Outcome}} ->
            [io:format("~.3f ", [float(Figure)]) || Figure <- figures(Outcome, Operations)],
            erlang:halt(0);
        {'DOWN', Monitor, process, Driver, Reason} ->
            io:format(standard_error, "~p~n", [Reason]),
            erlang:halt(1)
    end.

figures({delays, Delays}, _) ->
    Sorted = lists:sort(Delays),
    At = fun(Percent) ->
        lists:nth(1 + (length(Sorted) - 1) * Percent div 100, Sorted)
    end,
    [At(50), At(99)];
figures(Total, Operations) ->
    [Total / Operations].

%% A tally: how many of many have come to some point.

tally() ->
    {atomics:new(2, []), self()}.

add({Counts, Driver}) ->
    Count = atomics:add_get(Counts, 1, 1),
    case atomics:get(Counts, 2) of
        Count -> Driver ! {reached, Counts};
        _ -> ok
    end,
    Count.

reached(Tally = {Counts, _}, Count) ->
    atomics:put(Counts, 2, Count),
    wait(Tally, Count).

wait(Tally = {Counts, _}, Count) ->
    case atomics:get(Counts, 1) >= Count of
        true -> ok;
        false -> receive {reached, Counts} -> wait(Tally, Count) end
    end.

now_ns() -> erlang:monotonic_time(nanosecond).

since(Began) -> now_ns() - Began.

times(0, _) -> ok;
times(N, Do) -> Do(), times(N - 1, Do).

%% Making processes, and what they occupy.

spawn(Count) ->
    Ended = tally(),
    Began = now_ns(),
    spawn_burst(0, Count, Ended),
    since(Began).

spawn_burst(Count, Count, Ended) -> reached(Ended, Count);
spawn_burst(N, Count, Ended) ->
    Burst = min(?BURST, Count - N),
    times(Burst, fun() -> erlang:spawn(fun() -> add(Ended) end) end),
    reached(Ended, N + Burst),
    spawn_burst(N + Burst, Count, Ended).

spawn_idle(Count) ->
    Begun = tally(),
    Began = now_ns(),
    times(Count, fun() -> idler(Begun) end),
    reached(Begun, Count),
    since(Began).

idle(Count) ->
    Begun = tally(),
    Before = erlang:memory(total),
    times(Count, fun() -> idler(Begun) end),
    reached(Begun, Count),
    erlang:garbage_collect(),
    erlang:memory(total) - Before.

idler(Begun) ->
    erlang:spawn(fun() -> add(Begun), receive stop -> ok end end).

idle_server(Count) ->
    Before = erlang:memory(total),
    times(Count, fun() -> {ok, _} = gen_server:start(?MODULE, {word, 7}, []) end),
    erlang:garbage_collect(),
    erlang:memory(total) - Before.

%% To and fro, and round.

ping_pong(Pairs, Rounds) ->
    Done = tally(),
    Began = now_ns(),
    times(Pairs, fun() ->
        erlang:spawn(fun() ->
            Ping = self(),
            Pong = erlang:spawn(fun() -> pong(Ping, Rounds) end),
            ping(Pong, Rounds),
            add(Done)
        end)
    end),
    reached(Done, Pairs),
    since(Began).

ping(_, 0) -> ok;
ping(Pong, N) ->
    Pong ! N,
    receive N -> ping(Pong, N - 1) end.

pong(_, 0) -> ok;
pong(Ping, N) ->
    receive M -> Ping ! M end,
    pong(Ping, N - 1).

ring(Length, Laps) ->
    Begun = tally(),
    Next = ring_of(Length - 1, self(), Begun),
    reached(Begun, Length - 1),
    Began = now_ns(),
    laps(Next, Laps),
    since(Began).

ring_of(0, Next, _) -> Next;
ring_of(N, Next, Begun) ->
    Pid = erlang:spawn(fun() -> add(Begun), pass_on(Next) end),
    ring_of(N - 1, Pid, Begun).

pass_on(Next) ->
    receive Lap -> Next ! Lap end,
    pass_on(Next).

laps(_, 0) -> ok;
laps(Next, Lap) ->
    Next ! Lap,
    receive Lap -> laps(Next, Lap - 1) end.

%% Many to one, one to many, and a mailbox that fills.

fan_in(Senders, Each) ->
    Receiver = receiver(),
    Began = now_ns(),
    times(Senders, fun() -> erlang:spawn(fun() -> send_all(Receiver, Each) end) end),
    receive_all(Senders * Each),
    since(Began).

%% The messages of a full mailbox are not to be copied at each collection.
receiver() ->
    process_flag(message_queue_data, off_heap),
    self().

fan_out(Receivers, Each) ->
    {Begun, Done} = {tally(), tally()},
    All = [erlang:spawn(fun() -> add(Begun), receive_all(Each), add(Done) end)
           || _ <- lists:seq(1, Receivers)],
    reached(Begun, Receivers),
    Began = now_ns(),
    times(Each, fun() -> [Pid ! Each || Pid <- All] end),
    reached(Done, Receivers),
    since(Began).

%% The receiver is suspended while its mailbox is filled.
backlog(Count) ->
    {Receiver, Monitor} = spawn_monitor(fun() -> receiver(), receive_all(Count) end),
    true = erlang:suspend_process(Receiver),
    Began = now_ns(),
    send_all(Receiver, Count),
    erlang:resume_process(Receiver),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    since(Began).

send_all(_, 0) -> ok;
send_all(Receiver, N) ->
    Receiver ! N,
    send_all(Receiver, N - 1).

receive_all(0) -> ok;
receive_all(N) -> receive _ -> receive_all(N - 1) end.

%% Calls.

call(Callers, Servers, Each) ->
    Done = tally(),
    Echoes = [element(2, gen_server:start(?MODULE, {word, 7}, []))
              || _ <- lists:seq(1, Servers)],
    Began = now_ns(),
    [erlang:spawn(fun() -> ask(lists:nth(1 + N rem Servers, Echoes), Each), add(Done) end)
     || N <- lists:seq(1, Callers)],
    reached(Done, Callers),
    since(Began).

ask(_, 0) -> ok;
ask(Server, N) ->
    N = gen_server:call(Server, {echo, N}),
    ask(Server, N - 1).

%% Links and monitors.

%% Whoever ends by a signal runs nothing more, so the processes are counted.
links_ending(Count) ->
    Begun = tally(),
    Before = erlang:system_info(process_count),
    Hub = erlang:spawn(fun() ->
        times(Count, fun() ->
            spawn_link(fun() -> add(Begun), receive stop -> ok end end)
        end),
        receive stop -> exit(shutdown) end
    end),
    reached(Begun, Count),
    Began = now_ns(),
    Hub ! stop,
    processes_left(Before),
    since(Began).

processes_left(Count) ->
    case erlang:system_info(process_count) =< Count of
        true -> ok;
        false -> receive after 1 -> processes_left(Count) end
    end.

chain(Count) ->
    Begun = tally(),
    First = idler(Begun),
    Last = chain(Count - 1, First, Begun),
    Monitor = monitor(process, Last),
    reached(Begun, Count),
    Began = now_ns(),
    exit(First, shutdown),
    receive {'DOWN', Monitor, process, _, shutdown} -> ok end,
    since(Began).

chain(0, Last, _) -> Last;
chain(N, Before, Begun) ->
    Pid = erlang:spawn(fun() ->
        link(Before),
        add(Begun),
        receive stop -> ok end
    end),
    chain(N - 1, Pid, Begun).

monitors_on_one(Count) ->
    {Begun, Told} = {tally(), tally()},
    Watched = erlang:spawn(fun() -> receive stop -> ok end end),
    times(Count, fun() ->
        erlang:spawn(fun() ->
            Monitor = monitor(process, Watched),
            add(Begun),
            receive {'DOWN', Monitor, process, _, _} -> add(Told) end
        end)
    end),
    reached(Begun, Count),
    Began = now_ns(),
    Watched ! stop,
    reached(Told, Count),
    since(Began).

monitors_by_one(Count) ->
    Begun = tally(),
    All = [element(1, spawn_monitor(fun() -> add(Begun), receive stop -> ok end end))
           || _ <- lists:seq(1, Count)],
    reached(Begun, Count),
    Began = now_ns(),
    [Pid ! stop || Pid <- All],
    receive_all(Count),
    since(Began).

%% Supervisors.

restarts(Count) ->
    Started = tally(),
    Child = #{id => child, start => {?MODULE, crasher, [Started, Count]}},
    Began = now_ns(),
    supervise(one_for_one, [Child]),
    reached(Started, Count + 1),
    since(Began).

crasher(Started, Count) ->
    {ok, spawn_link(fun() ->
        case add(Started) > Count of
            true -> receive stop -> ok end;
            false -> exit(crash)
        end
    end)}.

first_answer(Count, Crash) ->
    Child = #{id => clerk, start => {?MODULE, server, [{clerk, self()}]}},
    supervise(one_for_one, [Child]),
    {delays, first_answers(Count, Crash, first_answering(0), [])}.

first_answers(0, _, _, Delays) -> Delays;
first_answers(N, Crash, Clerk, Delays) ->
    Began = now_ns(),
    gen_server:cast(Clerk, Crash),
    Next = first_answering(N),
    first_answers(N - 1, Crash, Next, [since(Began) | Delays]).

first_answering(N) ->
    receive {up, Clerk} ->
        N = gen_server:call(Clerk, {echo, N}),
        Clerk
    end.

one_for_all(Children, Rounds) ->
    Begun = tally(),
    Child = {?MODULE, idle_child, [Begun]},
    Supervisor = supervise(one_for_all, [#{id => N, start => Child}
                                         || N <- lists:seq(1, Children)]),
    reached(Begun, Children),
    lists:sum([fail_first(Supervisor, Begun, (1 + Round) * Children)
               || Round <- lists:seq(1, Rounds)]).

fail_first(Supervisor, Begun, Count) ->
    {1, First, _, _} = lists:keyfind(1, 1, supervisor:which_children(Supervisor)),
    Began = now_ns(),
    exit(First, crash),
    reached(Begun, Count),
    since(Began).

dynamic_start(Count) ->
    Child = #{id => child, start => {?MODULE, idle_child, []}, restart => temporary},
    Supervisor = supervise(simple_one_for_one, [Child]),
    Began = now_ns(),
    times(Count, fun() -> {ok, _} = supervisor:start_child(Supervisor, []) end),
    since(Began).

supervise(Strategy, Children) ->
    Flags = #{strategy => Strategy, intensity => 1000000000, period => 1},
    {ok, Supervisor} = supervisor:start_link(?MODULE, {supervisor, Flags, Children}),
    Supervisor.

idle_child() ->
    {ok, spawn_link(fun() -> receive stop -> ok end end)}.

idle_child(Begun) ->
    {ok, spawn_link(fun() -> add(Begun), receive stop -> ok end end)}.

server(Argument) ->
    gen_server:start_link(?MODULE, Argument, []).

init({supervisor, Flags, Children}) ->
    {ok, {Flags, Children}};
init({clerk, Client}) ->
    Client ! {up, self()},
    {ok, Client};
init({word, Word}) ->
    {ok, Word}.

handle_call({echo, N}, _, State) ->
    {reply, N, State}.

handle_cast(?STOP, State) -> {stop, crash, State};
handle_cast(?RAISE, _) -> error(crash).

%% Timers.

timer_cancelled(Count) ->
    Began = now_ns(),
    times(Count div ?BATCH, fun() ->
        Timers = [erlang:send_after(?HOUR, self(), time) || _ <- lists:seq(1, ?BATCH)],
        [erlang:cancel_timer(Timer) || Timer <- Timers]
    end),
    since(Began).

timer_fired(Count) ->
    receiver(),
    Began = now_ns(),
    times(Count, fun() -> erlang:send_after(1, self(), time) end),
    receive_all(Count),
    since(Began).

%% Names.

look_up(Threads, Each) ->
    Names = names(),
    Done = tally(),
    Began = now_ns(),
    times(Threads, fun() ->
        erlang:spawn(fun() -> look_up(Names, Names, Each), add(Done) end)
    end),
    reached(Done, Threads),
    since(Began).

look_up(_, _, 0) -> ok;
look_up([], Names, N) -> look_up(Names, Names, N);
look_up([Name | Rest], Names, N) ->
    true = is_pid(whereis(Name)),
    look_up(Rest, Names, N - 1).

send_by_name(Count) ->
    names(),
    {Receiver, Monitor} = spawn_monitor(fun() -> receiver(), receive_all(Count) end),
    erlang:register(receiver, Receiver),
    Began = now_ns(),
    send_all(receiver, Count),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    since(Began).

register(Count) ->
    names(),
    Began = now_ns(),
    times(Count, fun() -> erlang:register(driver, self()), unregister(driver) end),
    since(Began).

names() ->
    Names = [list_to_atom("the name of number " ++ integer_to_list(N))
             || N <- lists:seq(1, ?NAMES)],
    Idle = fun() -> receive stop -> ok end end,
    [erlang:register(Name, erlang:spawn(Idle)) || Name <- Names],
    Names.

%% Savina.

big(Actors, Each) ->
    {Begun, Done} = {tally(), tally()},
    All = list_to_tuple([erlang:spawn(fun() -> actor(N, Each, Begun, Done) end)
                         || N <- lists:seq(1, Actors)]),
    [Actor ! {start, All} || Actor <- tuple_to_list(All)],
    reached(Begun, Actors),
    Began = now_ns(),
    [Actor ! go || Actor <- tuple_to_list(All)],
    reached(Done, Actors),
    since(Began).

actor(Me, Each, Begun, Done) ->
    receive {start, All} -> add(Begun), actor(Me, Each, Done, All, Me) end.

actor(Me, Left, Done, All, Seed) ->
    receive
        go -> actor(Me, Left, Done, All, ping(Me, All, Seed));
        {ping, From} -> From ! pong, actor(Me, Left, Done, All, Seed);
        pong when Left > 1 -> actor(Me, Left - 1, Done, All, ping(Me, All, Seed));
        pong -> add(Done), actor(Me, 0, Done, All, Seed)
    end.

ping(Me, All, Seed) ->
    Next = (Seed * 1103515245 + 12345) band 16#7fffffff,
    Step = 1 + (Next bsr 12) rem (tuple_size(All) - 1),
    element(1 + (Me - 1 + Step) rem tuple_size(All), All) ! {ping, self()},
    Next.

chameneos(Creatures, Meetings) ->
    Mall = self(),
    Began = now_ns(),
    [erlang:spawn(fun() -> creature(N rem 3, Mall) end) || N <- lists:seq(1, Creatures)],
    meetings(Meetings),
    since(Began).

meetings(0) -> ok;
meetings(N) ->
    receive {visitor, _, First} ->
        receive {visitor, Colour, Second} -> First ! {meet, Colour, Second} end
    end,
    meetings(N - 1).

%% Of three colours that make 3 together, the third of two others is what is
%% missing.
creature(Colour, Mall) ->
    Mall ! {visitor, Colour, self()},
    receive
        {meet, Colour, Other} -> Other ! {change, Colour}, creature(Colour, Mall);
        {meet, Theirs, Other} ->
            Third = 3 - Colour - Theirs,
            Other ! {change, Third},
            creature(Third, Mall);
        {change, Changed} -> creature(Changed, Mall)
    end.
