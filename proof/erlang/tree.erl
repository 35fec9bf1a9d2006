%% A supervision tree on OTP's supervisor, one event at a time.
%%
%% An observer counts starts, watches whoever is up, and keeps the log. As all
%% share one scheduler, ends reach it in the order in which they happen.
-module(tree).
-export([run/1, start/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

run({Unordered, {Id, _, _, _} = Root, Events}) ->
    process_flag(trap_exit, true),
    Observer = spawn_opt(fun() -> observe([], #{}, #{}) end, [link, {priority, high}]),
    Started = case start(Observer, {supervisor, Root}) of
        {ok, _} -> "ok";
        {error, Reason} -> ["failed.", reason(Reason)]
    end,
    First = told(Observer, Started, Unordered, Id),
    Lines = [begin
                 Result = perform(Observer, Event),
                 [" | ", told(Observer, Result, Unordered, Id)]
             end || Event <- Events],
    maps:foreach(fun(Pid, _) -> exit(Pid, kill) end, ask(Observer, living)),
    [First, Lines].

%% --- events ---

perform(Observer, {crash, Id, Reason}) ->
    case find(Observer, Id) of
        {Pid, worker} ->
            Pid ! {crash, Reason},
            wait(Pid),
            "crashed";
        _ ->
            "nobody"
    end;
perform(Observer, {kill, Id}) ->
    case find(Observer, Id) of
        {Pid, _} ->
            exit(Pid, kill),
            wait(Pid),
            "killed";
        none ->
            "nobody"
    end;
perform(Observer, {stop, Reason}) ->
    case find(Observer, 0) of
        {Pid, _} ->
            try gen_server:stop(Pid, Reason, infinity) of ok -> "ok" catch _:_ -> "failed" end;
        none ->
            "nobody"
    end;
perform(Observer, Event) ->
    case find(Observer, element(2, Event)) of
        {Pid, supervisor} -> call(Observer, Pid, Event);
        {Pid, dynamic} -> call_dynamic(Observer, Pid, Event);
        _ -> "nobody"
    end.

call(_, Pid, {terminate_child, _, Id}) -> result(supervisor:terminate_child(Pid, Id));
call(_, Pid, {restart_child, _, Id}) -> result(supervisor:restart_child(Pid, Id));
call(_, Pid, {delete_child, _, Id}) -> result(supervisor:delete_child(Pid, Id));
call(Observer, Pid, {start_child, _, Child}) ->
    case supervisor:start_child(Pid, spec(Observer, Child)) of
        {error, already_present} -> "already_present";
        {error, {already_started, _}} -> "already_started";
        {error, {Reason, _Child}} -> ["failed.", reason(Reason)];
        Other -> result(Other)
    end.

%% One that is dynamic knows its children by their pids.
call_dynamic(_, Pid, {start_child, _, {_, _, Kind}}) ->
    result(supervisor:start_child(Pid, [Kind]));
call_dynamic(Observer, Pid, {terminate_child, _, Id}) ->
    case find(Observer, Id) of
        {Child, _} -> result(supervisor:terminate_child(Pid, Child));
        none -> "nobody"
    end;
call_dynamic(_, _, _) ->
    "nobody".

result(ok) -> "ok";
result({ok, undefined}) -> "ignored";
result({ok, _}) -> "ok";
result({error, Word}) when Word =:= not_found; Word =:= running; Word =:= restarting ->
    atom_to_list(Word);
result({error, Reason}) -> ["failed.", reason(Reason)].

wait(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

find(Observer, Id) ->
    Living = maps:to_list(ask(Observer, living)),
    case [{Pid, Role} || {Pid, {Role, I, _}} <- Living, I =:= Id] of
        [Found | _] -> Found;
        [] -> none
    end.

%% --- what is told ---

told(Observer, Result, Unordered, Root) ->
    View = settle(Observer, Root, none),
    {Log, Ended} = ask(Observer, news),
    Entries = case Unordered of
        false ->
            Log;
        true ->
            {Starts, Ends} = lists:partition(fun([C | _]) -> C =:= $+ end, Log),
            Starts ++ lists:sort(Ends)
    end,
    [Result, [[" ", Entry] || Entry <- Entries ++ lists:sort(Ended)], [[" ", Line] || Line <- View]].

%% Two looks that show the same, in which those who live are just those that
%% some supervisor has.
settle(Observer, Root, Last) ->
    erlang:yield(),
    Living = ask(Observer, living),
    Supervisors = lists:sort([{Id, N, Pid} || {Pid, {Role, Id, N}} <- maps:to_list(Living), Role =/= worker]),
    Looks = [look(Pid, Id, N, Living) || {Id, N, Pid} <- Supervisors],
    Lines = [Line || {Line, _} <- Looks],
    Had = [Pid || {Id, _, Pid} <- Supervisors, Id =:= Root] ++ lists:append([Pids || {_, Pids} <- Looks]),
    View = {Lines, ask(Observer, length)},
    IsQuiet = lists:sort(Had) =:= lists:sort(maps:keys(Living)),
    case IsQuiet andalso View =:= Last of
        true -> Lines;
        false -> settle(Observer, Root, View)
    end.

look(Supervisor, Id, N, Living) ->
    try {supervisor:which_children(Supervisor), supervisor:count_children(Supervisor)} of
        {Children, Counts} ->
            Told = told(Children, Living),
            Numbers = [proplists:get_value(K, Counts) || K <- [specs, active, supervisors, workers]],
            Line = io_lib:format("~p#~p[~s]~p/~p/~p/~p", [Id, N, lists:join($,, Told) | Numbers]),
            {lists:flatten(Line), [Pid || {_, Pid, _, _} <- Children, Pid =/= undefined]}
    catch
        exit:_ -> {gone, []}
    end.

told([{undefined, _, _, _} | _] = Children, Living) ->
    lists:sort([child(number(Pid, Living), Pid, Living) || {_, Pid, _, _} <- Children]);
told(Children, Living) ->
    [child(Id, Pid, Living) || {Id, Pid, _, _} <- Children].

child(Id, Pid, Living) ->
    lists:flatten(io_lib:format("~p:~s", [Id, at(Pid, Living)])).

number(Pid, Living) ->
    case Living of
        #{Pid := {_, Id, _}} -> Id;
        _ -> unknown
    end.

at(undefined, _) -> "down";
at(restarting, _) -> "restarting";
at(Pid, Living) ->
    case Living of
        #{Pid := {_, _, N}} -> integer_to_list(N);
        _ -> "?"
    end.

reason({shutdown, _}) -> "shutdown_with";
reason({'EXIT', Reason}) -> reason(Reason);
reason({Reason, Stack}) when is_list(Stack) -> reason(Reason);
reason(Reason) when is_atom(Reason) -> atom_to_list(Reason);
reason(_) -> "unknown".

%% --- the observer ---

%% The log is kept latest first: what happened to workers, and separately the
%% supervisors that ended.
observe(Log, Starts, Living) ->
    observe(Log, [], Starts, Living).

observe(Log, Ended, Starts, Living) ->
    receive
        {From, Ref, {start, Id}} ->
            N = maps:get(Id, Starts, 0) + 1,
            From ! {Ref, N},
            observe([line("+~p#~p", [Id, N]) | Log], Ended, Starts#{Id => N}, Living);
        {From, Ref, {enter, Pid, Role, Id, N}} ->
            monitor(process, Pid),
            From ! {Ref, ok},
            observe(Log, Ended, Starts, Living#{Pid => {Role, Id, N}});
        {From, Ref, {terminated, Id, N, Reason}} ->
            From ! {Ref, ok},
            observe([line("~~~p#~p.~s", [Id, N, reason(Reason)]) | Log], Ended, Starts, Living);
        {From, Ref, living} ->
            From ! {Ref, Living},
            observe(Log, Ended, Starts, Living);
        {From, Ref, length} ->
            From ! {Ref, length(Log)},
            observe(Log, Ended, Starts, Living);
        {From, Ref, news} ->
            From ! {Ref, {lists:reverse(Log), Ended}},
            observe([], [], Starts, Living);
        {'DOWN', _, process, Pid, Reason} ->
            {{Role, Id, N}, Others} = maps:take(Pid, Living),
            case Role of
                worker ->
                    Line = line("-~p#~p.~s", [Id, N, reason(Reason)]),
                    observe([Line | Log], Ended, Starts, Others);
                _ ->
                    Line = line("^~p#~p.~s", [Id, N, reason(Reason)]),
                    observe(Log, [Line | Ended], Starts, Others)
            end
    end.

line(Format, Arguments) ->
    lists:flatten(io_lib:format(Format, Arguments)).

ask(Observer, Question) ->
    Ref = make_ref(),
    Observer ! {self(), Ref, Question},
    receive {Ref, Answer} -> Answer end.

%% --- supervisors and their children ---

spec(Observer, {Restart, Shutdown, Kind}) ->
    Type = element(1, Kind),
    Id = case Kind of
        {worker, I, _, _} -> I;
        {supervisor, {I, _, _, _}} -> I
    end,
    #{id => Id, start => {?MODULE, start, [Observer, Kind]}, restart => Restart,
      shutdown => Shutdown, type => Type}.

start(Observer, {supervisor, {Id, Strategy, Intensity, Children}}) ->
    N = ask(Observer, {start, Id}),
    case supervisor:start_link(?MODULE, {supervisor, Observer, Strategy, Intensity, Children}) of
        {ok, Pid} ->
            ask(Observer, {enter, Pid, role(Strategy), Id, N}),
            {ok, Pid};
        Error ->
            Error
    end;
start(Observer, {worker, Id, deaf, Trouble}) ->
    N = ask(Observer, {start, Id}),
    case failure(Trouble, N) of
        none -> start_deaf(Observer, Id, N);
        {stop, Reason} -> {error, Reason};
        ignore -> ignore;
        panic -> error(panic)
    end;
start(Observer, {worker, _, _, _} = Worker) ->
    gen_server:start_link(?MODULE, {worker, Observer, Worker}, []).

role({_Restart, _Shutdown}) -> dynamic;
role(_) -> supervisor.

start_deaf(Observer, Id, N) ->
    Parent = self(),
    Body = fun() ->
        process_flag(trap_exit, true),
        ask(Observer, {enter, self(), worker, Id, N}),
        Parent ! {up, self()},
        deaf()
    end,
    Pid = spawn_opt(Body, [link, {priority, high}]),
    receive {up, Pid} -> {ok, Pid} end.

deaf() ->
    receive
        {crash, panic} -> error(panic);
        {crash, Reason} -> exit(own(Reason));
        {'EXIT', _, shutdown} -> deaf();
        {'EXIT', _, Reason} -> exit(Reason)
    end.

init({supervisor, Observer, {Restart, Shutdown}, Intensity, []}) ->
    process_flag(priority, high),
    Flags = #{strategy => simple_one_for_one, intensity => Intensity, period => 3600},
    Template = #{id => child, start => {?MODULE, start, [Observer]}, restart => Restart,
                 shutdown => Shutdown, type => worker},
    {ok, {Flags, [Template]}};
init({supervisor, Observer, Strategy, Intensity, Children}) ->
    process_flag(priority, high),
    Flags = #{strategy => Strategy, intensity => Intensity, period => 3600},
    {ok, {Flags, [spec(Observer, Child) || Child <- Children]}};
init({worker, Observer, {worker, Id, Manner, Trouble}}) ->
    process_flag(priority, high),
    N = ask(Observer, {start, Id}),
    case failure(Trouble, N) of
        none ->
            process_flag(trap_exit, Manner =:= trapping),
            ask(Observer, {enter, self(), worker, Id, N}),
            {ok, {Observer, Id, N, Manner}};
        {stop, Reason} ->
            {stop, Reason};
        ignore ->
            ignore;
        panic ->
            error(panic)
    end.

failure({What, From, Count}, N) when N >= From, N < From + Count -> What;
failure(_, _) -> none.

own(shutdown_with) -> {shutdown, term};
own(Reason) -> Reason.

handle_info({crash, panic}, _) ->
    error(panic);
handle_info({crash, Reason}, State) ->
    {stop, own(Reason), State};
handle_info(_, State) ->
    {noreply, State}.

handle_call(_, _, State) ->
    {noreply, State}.

handle_cast(_, State) ->
    {noreply, State}.

terminate(Reason, {Observer, Id, N, Manner}) ->
    case Manner of
        trapping -> [erlang:yield() || _ <- [1, 2, 3]];
        plain -> ok
    end,
    ask(Observer, {terminated, Id, N, Reason}).
