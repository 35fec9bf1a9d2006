%% Process groups on OTP's pg whose members, watchers and scopes come and go as
%% a script says.
%%
%% One process takes the steps, one after the other. All others have the
%% priority `high`, so when it goes on everything has come to rest.
-module(groups).
-export([run/1]).

-define(SCOPES, [r, s, t]).
-define(GROUPS, [x, y, z]).
-define(EVERYBODY, [a, b, c, d, e]).

%% The processes, who watches for them, who of them lives, and the watches by
%% their numbers. A scope of OTP 25 does not survive the end of a process that
%% watches and is a member, so another one watches for it.
-record(stage, {pids, watchers, living = ?EVERYBODY, watches = #{}}).

run(Steps) ->
    Driver = self(),
    Stage = #stage{pids = everybody(fun live/0), watchers = everybody(fun() -> watch(Driver, #{}) end)},
    {Words, Last} = lists:mapfoldl(fun seen/2, Stage, Steps),
    finish(Last, ?EVERYBODY, kill),
    [stop(Scope, kill) || Scope <- ?SCOPES],
    lists:join(" ", Words).

everybody(Fun) ->
    Spawn = fun() -> element(1, spawn_opt(Fun, [monitor, {priority, high}])) end,
    maps:from_list([{Who, Spawn()} || Who <- ?EVERYBODY]).

%% What a step came to, what the watchers were told, and who is where.
seen(Step, Stage) ->
    Members = members_before(Step),
    {Result, Next} = step(Step, Stage),
    Told = told(),
    Changes = case Step of
        {leave, _, _, Who} -> left(pids(Who, Stage), Members, Told);
        _ -> Told
    end,
    {[Result, "(", changes(merged(Changes), Stage), ")", looks(Stage)], Next}.

told() ->
    erlang:yield(),
    receive {told, Told} -> [Told | told()] after 0 -> [] end.

members_before({leave, Scope, Group, _}) -> pg:get_members(Scope, Group);
members_before(_) -> [].

%% A notice names all that were to leave, also those that were no members.
%% Resurgam names those that left.
left(Pids, Members, Told) ->
    Left = Pids -- (Pids -- Members),
    [case Change of
         {Watch, leave, Group, Pids} -> {Watch, leave, Group, Left};
         {Watch, leave, Group, [_]} -> {Watch, leave, Group, Left}
     end || Change <- Told].

%% Who ends leaves a group in one notice for each time that it was there.
%% Resurgam sends one for each group, and so says the law (PG-03).
merged(Told) ->
    Add = fun({Watch, leave, Group, Pids}, All) ->
        maps:update_with({Watch, Group}, fun(Known) -> Pids ++ Known end, Pids, All)
    end,
    {Left, Joined} = lists:partition(fun({_, What, _, _}) -> What =:= leave end, Told),
    [{Watch, leave, Group, Pids}
     || {{Watch, Group}, Pids} <- maps:to_list(lists:foldl(Add, #{}, Left))] ++ Joined.

changes(Changes, Stage) ->
    Word = fun(Watch, What, Group, Pids) ->
        Way = case What of join -> "+"; leave -> "-" end,
        lists:flatten([integer_to_list(Watch), Way, atom_to_list(Group), ":", whos(Pids, Stage)])
    end,
    %% One that tells of nobody: see `looks`.
    Words = [Word(Watch, What, Group, Pids) || {Watch, What, Group, Pids} <- Changes, Pids =/= []],
    lists:join(",", lists:sort(Words)).

%% The groups that there are in each scope, and the members of all that could be
%% there. If nobody joins, Erlang keeps a group without members; not so
%% Resurgam, and the law (PG-02).
looks(Stage) ->
    lists:join(";", [look(Scope, Stage) || Scope <- ?SCOPES]).

look(Scope, Stage) ->
    There = try pg:which_groups(Scope) catch error:badarg -> [] end,
    Groups = [atom_to_list(Group) || Group <- lists:sort(There), pg:get_members(Scope, Group) =/= []],
    Members = [whos(members(Scope, Group), Stage) || Group <- ?GROUPS],
    [atom_to_list(Scope), Groups, "=", lists:join("/", Members)].

members(Scope, Group) ->
    Members = pg:get_members(Scope, Group),
    Members = pg:get_local_members(Scope, Group).

step({start, Scope}, Stage) ->
    {start(Scope), Stage};
step({stop, Scope, How}, Stage) ->
    {stop(Scope, How), Stage};
step({join, Scope, Group, Who}, Stage) ->
    {asked(fun() -> pg:join(Scope, Group, one_or_more(Who, Stage)) end), Stage};
step({leave, Scope, Group, Who}, Stage) ->
    {asked(fun() -> pg:leave(Scope, Group, one_or_more(Who, Stage)) end), Stage};
step({watch, Watch, Scope, Group, Who}, Stage) ->
    watch(Watch, Who, fun() -> pg:monitor(Scope, Group) end, Stage);
step({watch, Watch, Scope, Who}, Stage) ->
    watch(Watch, Who, fun() -> pg:monitor_scope(Scope) end, Stage);
step({unwatch, Scope, Watch}, Stage) ->
    case Stage#stage.watches of
        #{Watch := Ref} -> {asked(fun() -> pg:demonitor(Scope, Ref) =:= ok end), Stage};
        #{} -> {"none", Stage}
    end;
step({ends, Who, How}, Stage) ->
    {"", finish(Stage, lists:usort(Who), How)};
step({end_and_leave, Who, Scope, Group}, Stage) ->
    #stage{pids = #{Who := Pid}, watchers = #{Who := Watcher}, living = Living} = Stage,
    Lives = lists:member(Who, Living),
    Lives andalso finish(Watcher, kill),
    exit(Pid, kill),
    asked(fun() -> pg:leave(Scope, Group, Pid) end),
    Lives andalso finish(Pid, kill),
    {"", Stage#stage{living = Living -- [Who]}}.

start(Scope) ->
    case pg:start(Scope) of
        {ok, Pid} ->
            sys:replace_state(Pid, fun(State) -> process_flag(priority, high), State end),
            "ok";
        {error, {already_started, _}} ->
            "taken"
    end.

stop(Scope, How) ->
    case whereis(Scope) of
        undefined ->
            "noproc";
        Pid ->
            Monitor = monitor(process, Pid),
            case How of
                kill -> exit(Pid, kill);
                normal -> gen_server:stop(Pid)
            end,
            receive {'DOWN', Monitor, _, _, _} -> "ok" end
    end.

asked(Fun) ->
    try atom_to_list(Fun()) catch exit:{noproc, _} -> "noproc" end.

watch(Watch, Who, Fun, #stage{watches = Watches} = Stage) ->
    maps:get(Who, Stage#stage.watchers) ! {watch, Watch, Fun},
    receive
        {watched, noproc} ->
            {"noproc", Stage};
        {watched, {Ref, Members}} ->
            {["<", watched(Members, Stage), ">"], Stage#stage{watches = Watches#{Watch => Ref}}}
    end.

watched(Pids, Stage) when is_list(Pids) ->
    whos(Pids, Stage);
watched(Groups, Stage) ->
    Words = [[atom_to_list(Group), ":", whos(Pids, Stage)]
             || {Group, Pids} <- lists:sort(maps:to_list(Groups)), Pids =/= []],
    lists:join(",", Words).

%% Ends them, and waits for the ends of those that lived.
finish(#stage{living = Living, pids = Pids, watchers = Watchers} = Stage, Who, How) ->
    Ending = [W || W <- Who, lists:member(W, Living)],
    [finish(maps:get(W, Watchers), kill) || W <- Ending],
    [finish(maps:get(W, Pids), How) || W <- Ending],
    Stage#stage{living = Living -- Who}.

finish(Pid, How) ->
    case How of
        normal -> Pid ! return;
        crash -> Pid ! crash;
        _ -> exit(Pid, How)
    end,
    receive {'DOWN', _, process, Pid, _} -> ok end.

one_or_more([Who], Stage) -> maps:get(Who, Stage#stage.pids);
one_or_more(Who, Stage) -> pids(Who, Stage).

pids(Who, #stage{pids = Pids}) -> [maps:get(W, Pids) || W <- Who].

whos(Pids, #stage{pids = All}) ->
    Names = maps:from_list([{Pid, Who} || {Who, Pid} <- maps:to_list(All)]),
    lists:sort([atom_to_list(maps:get(Pid, Names)) || Pid <- Pids]).

%% --- the processes ---

live() ->
    receive
        return -> ok;
        crash -> error(crash)
    end.

watch(Driver, Watches) ->
    receive
        {watch, Watch, Fun} ->
            Watched = try Fun() catch exit:{noproc, _} -> noproc end,
            Driver ! {watched, Watched},
            case Watched of
                noproc -> watch(Driver, Watches);
                {Ref, _} -> watch(Driver, Watches#{Ref => Watch})
            end;
        {Ref, What, Group, Pids} ->
            Driver ! {told, {maps:get(Ref, Watches), What, Group, Pids}},
            watch(Driver, Watches)
    end.
