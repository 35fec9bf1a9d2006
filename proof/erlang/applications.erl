%% Applications on OTP's application_controller, whose callbacks do what a
%% script says.
%%
%% The controller of an `erl` cannot be stopped without it. So the modules of
%% OTP that make it up are loaded a second time under other names, and each
%% script has a controller of its own: OTP's code, but for the names. Its end is
%% what would be the end of the node.
-module(applications).
-export([run/1]).
-export([start/2, start_phase/3, prep_stop/1, stop/1, config_change/3]).

-define(AC, proof_application_controller).
-define(APPLICATION, proof_application).

run({Apps, Steps}) ->
    clone(),
    process_flag(trap_exit, true),
    Base = processes(),
    ?MODULE = ets:new(?MODULE, [named_table, public]),
    [ets:insert(?MODULE, {{app, element(1, App)}, App}) || App <- Apps],
    {ok, Controller} = ?AC:start({?APPLICATION, kernel, []}),
    Words = steps(Steps, 1, Controller, []),
    exit(Controller, kill),
    receive {'EXIT', Controller, _} -> ok end,
    [exit(Pid, kill) || Pid <- processes() -- Base],
    ets:delete(?MODULE),
    lists:join(" ", Words).

clone() ->
    case erlang:module_loaded(?AC) of
        true -> ok;
        false ->
            lists:foreach(fun clone/1, [application, application_controller,
                                        application_master, application_starter]),
            %% Nobody is to wait for a file from here on.
            [begin
                 {ok, Modules} = application:get_key(App, modules),
                 code:ensure_modules_loaded(Modules)
             end || App <- [kernel, stdlib]],
            code:set_path([])
    end.

clone(Module) ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} =
        beam_lib:chunks(code:which(Module), [abstract_code]),
    {ok, Clone, Binary} = compile:forms(renamed(Forms), [nowarn_unused_function]),
    {module, Clone} = code:load_binary(Clone, atom_to_list(Clone), Binary).

renamed(application) -> ?APPLICATION;
renamed(application_controller) -> ?AC;
renamed(application_master) -> proof_application_master;
renamed(application_starter) -> proof_application_starter;
renamed(ac_tab) -> proof_ac_tab;
renamed(Form) when is_tuple(Form) -> list_to_tuple(renamed(tuple_to_list(Form)));
renamed([Form | Forms]) -> [renamed(Form) | renamed(Forms)];
renamed(Form) -> Form.

%% --- steps ---

steps([], _, Controller, Open) ->
    Last = [begin {_, Word, _} = step({release, Name}, 0, Controller, Open), Word end
            || {Name, _} <- starting()],
    exit(Controller, shutdown),
    Last ++ [["end[", word([]), "]"]];
steps([Step | Steps], Number, Controller, Open) ->
    case step(Step, Number, Controller, Open) of
        {up, Word, StillOpen} ->
            [Word | steps(Steps, Number + 1, Controller, StillOpen)];
        {down, Word, _} ->
            [Word]
    end.

step(Step, Number, Controller, Open) ->
    Result = case is_possible(Step, Open) of
        true -> perform(Step, Number);
        Why -> Why
    end,
    NowOpen = case Result of open -> [Number | Open]; _ -> Open end,
    Notes = word(NowOpen),
    {Answers, StillOpen} = answers(lists:sort(NowOpen)),
    Said = case Result of open -> ""; _ -> Result end,
    case is_process_alive(Controller) of
        true -> {up, [Said, Answers, "[", Notes, "]", picture()], StillOpen};
        false -> {down, [Said, Answers, "[", Notes, "]down"], StillOpen}
    end.

%% What was noted, when all have come to rest.
word(Open) ->
    settle(),
    Notes = noted(),
    %% If several wait, what is done for them is done side by side.
    Ordered = case Open of
        [_, _ | _] -> lists:keysort(1, Notes);
        _ -> Notes
    end,
    lists:join(",", [Word || {_, Word} <- Ordered]).

noted() ->
    receive {noted, Name, Word} -> [{Name, Word} | noted()] after 0 -> [] end.

answers([]) -> {[], []};
answers([Number | Numbers]) ->
    {Words, Open} = answers(Numbers),
    receive
        {answer, Number, Word} -> {[integer_to_list(Number), "=", Word, ";" | Words], Open}
    after 0 ->
        {Words, [Number | Open]}
    end.

%% On one scheduler nobody else runs now. If nobody else could, and none has
%% gone to another kind of scheduler, all rest.
settle() ->
    erlang:yield(),
    case is_queue_empty() andalso not lists:any(fun is_elsewhere/1, processes() -- [self()])
         andalso is_queue_empty() of
        true -> ok;
        false -> settle()
    end.

is_queue_empty() -> erlang:statistics(total_run_queue_lengths) =:= 0.

is_elsewhere(Pid) -> process_info(Pid, status) =/= {status, waiting}.

%% --- what is done ---

%% What would be different by design is left out on both sides, or only said.
is_possible({release, _}, _) -> true;
is_possible({Env, _, _, _}, _) when Env =:= set; Env =:= set_persistent -> true;
is_possible({unset, _, _}, _) -> true;
is_possible(Step, Open) ->
    Starting = starting(),
    IsQuiet = Starting =:= [],
    IsLone = lists:any(fun({_, Type}) -> Type =/= temporary end, Starting),
    IsAlone = not needs_quiet(Step) orelse IsQuiet,
    %% Resurgam calls such a start off; OTP says that it is not started.
    IsStarting = lists:keymember(element(2, Step), 1, Starting) andalso
        lists:member(element(1, Step), [stop, unload]),
    %% What such a start waits for, and another had started, OTP counts among
    %% those that it started itself, Resurgam does not (law APP-02).
    IsEnsuring = lists:member(get(ensuring), Open) andalso
        lists:member(element(1, Step), [start, ensure]),
    if
        IsLone; not IsAlone; IsStarting; IsEnsuring -> "busy";
        element(1, Step) =:= ensure -> is_orderly(element(2, Step), []);
        true -> true
    end.

%% What may stop the node, and the start of many.
needs_quiet({start, _, Type}) -> Type =/= temporary;
needs_quiet({ensure, _, _}) -> true;
needs_quiet({crash, _, _}) -> true;
needs_quiet({config, _}) -> true;
needs_quiet(_) -> false.

%% Whether all that an application needs is known, and in no circle. OTP starts
%% what it comes upon before that and stops it again, or goes round for ever;
%% Resurgam says so before it starts anything.
is_orderly(Name, Path) ->
    case {lists:member(Name, Path), is_running(Name), is_loaded(Name)} of
        {true, _, _} -> "impossible";
        {false, true, _} -> true;
        {false, false, false} -> "impossible";
        {false, false, true} ->
            {_, Needs, Optional, _, _, _, _, _, _} = app(Name),
            All = Needs ++ [Need || Need <- Optional, is_loaded(Need) orelse is_running(Need)],
            case [no || Need <- All, is_orderly(Need, [Name | Path]) =/= true] of
                [] -> true;
                _ -> "impossible"
            end
    end.

is_loaded(Name) -> lists:keymember(Name, 1, ?APPLICATION:loaded_applications()).

is_running(Name) -> lists:member(Name, running()).

running() -> [Name || {Name, _} <- proplists:get_value(running, ?AC:info())].

started() -> proplists:get_value(started, ?AC:info()).

starting() ->
    [{Name, Type} || {Name, Type, _, _} <- proplists:get_value(starting, ?AC:info())].

app(Name) ->
    [{_, App}] = ets:lookup(?MODULE, {app, Name}),
    App.

perform({load, Name}, _) ->
    case ?APPLICATION:load(description(Name)) of
        ok -> "ok";
        {error, {already_loaded, _}} -> "already"
    end;
perform({unload, Name}, _) ->
    %% OTP remembers that one has ended until it is stopped, even if it is
    %% unloaded; Resurgam does not.
    HasEnded = lists:keymember(Name, 1, started()) andalso not is_running(Name),
    HasEnded andalso ?APPLICATION:stop(Name),
    case ?APPLICATION:unload(Name) of
        ok -> "ok";
        {error, {Reason, _}} -> atom_to_list(Reason)
    end;
perform({start, Name, Type}, Number) ->
    client(Number, fun() -> started(?AC:start_application(Name, Type)) end);
perform({ensure, Name, Type}, Number) ->
    put(ensuring, Number),
    client(Number, fun() ->
        %% The controller may be gone when it is told to stop them again.
        case catch ?APPLICATION:ensure_all_started(Name, Type) of
            {ok, Names} -> ["ok", [["+", atom_to_list(Started)] || Started <- Names]];
            _ when Type =/= temporary -> "down";
            {error, {Failed, Reason}} ->
                case started({error, Reason}) of
                    "failed" -> ["failed ", atom_to_list(Failed)];
                    Word -> Word
                end
        end
    end);
perform({stop, Name}, Number) ->
    client(Number, fun() ->
        case ?APPLICATION:stop(Name) of
            ok -> "ok";
            {error, {not_started, _}} -> "not_started"
        end
    end);
perform({crash, Name, Reason}, _) ->
    case is_running(Name) of
        true ->
            [{_, Top}] = ets:lookup(?MODULE, {top, Name}),
            case Reason of
                killed -> exit(Top, kill);
                _ -> Top ! {crash, Reason}
            end,
            "crash";
        false ->
            "nobody"
    end;
perform({release, Name}, _) ->
    case ets:take(?MODULE, {gate, Name}) of
        [{_, Pid}] -> Pid ! go, "go";
        [] -> "none"
    end;
perform({set, Name, Key, Value}, _) ->
    ?APPLICATION:set_env(Name, Key, Value),
    "ok";
perform({set_persistent, Name, Key, Value}, _) ->
    put(lasting, with(Name, Key, Value, lasting())),
    ?APPLICATION:set_env(Name, Key, Value, [{persistent, true}]),
    "ok";
perform({unset, Name, Key}, _) ->
    %% What was set for good is there again in OTP when its application is
    %% loaded, unless it is unset for good, with what was configured.
    case proplists:is_defined(Key, proplists:get_value(Name, lasting(), [])) of
        true -> "lasting";
        false -> ?APPLICATION:unset_env(Name, Key), "ok"
    end;
perform({config, Config}, _) ->
    Before = ?AC:prep_config_change(),
    Loaded = [description(Name) || {Name, _, _} <- ?APPLICATION:loaded_applications(), Name =/= kernel],
    %% OTP forgets what was set for good, Resurgam does not (law APP-12).
    Lasting = [{Name, Key, Value} || {Name, Env} <- lasting(), {Key, Value} <- Env],
    Kept = lists:foldl(fun({Name, Key, Value}, All) -> with(Name, Key, Value, All) end,
                       Config, Lasting),
    ok = ?AC:change_application_data(Loaded, Kept),
    ?AC:config_change(Before),
    "ok".

lasting() ->
    case get(lasting) of
        undefined -> [];
        Lasting -> Lasting
    end.

%% A configuration with one more setting.
with(Name, Key, Value, Config) ->
    Env = proplists:get_value(Name, Config, []),
    lists:keystore(Name, 1, Config, {Name, lists:keystore(Key, 1, Env, {Key, Value})}).

client(Number, Do) ->
    Driver = self(),
    spawn(fun() -> Driver ! {answer, Number, Do()} end),
    open.

started(ok) -> "ok";
started({error, {already_started, _}}) -> "already";
started({error, {not_started, Name}}) -> ["not_started ", atom_to_list(Name)];
started({error, {not_running, Name}}) -> ["not_running ", atom_to_list(Name)];
started({error, {not_loaded, _}}) -> "not_loaded";
started({error, {"no such file or directory", _}}) -> "not_loaded";
started({error, _}) -> "failed".

description(Name) ->
    {_, Needs, Optional, _, Phases, _, _, _, Env} = app(Name),
    {?APPLICATION, Name, [
        {applications, Needs ++ Optional},
        {optional_applications, Optional},
        {env, Env},
        {mod, {?MODULE, {Name, self()}}}
    ] ++ [{start_phases, [{Phase, {Does, Name, self()}} || {Phase, Does} <- Phases]}
          || Phases =/= []]}.

%% Who runs, the first to be up first, who is being started, whose strays are
%% alive, and the settings.
picture() ->
    Types = started(),
    Running = [[atom_to_list(Name), atom_to_list(proplists:get_value(Name, Types))]
               || Name <- lists:reverse(running())],
    Starting = [atom_to_list(Name) || {Name, _} <- lists:sort(starting())],
    Strays = lists:usort([atom_to_list(Name)
                          || {{stray, Pid}, Name} <- ets:tab2list(?MODULE), is_process_alive(Pid)]),
    Names = lists:sort([Name || {{app, Name}, _} <- ets:tab2list(?MODULE)]),
    Env = [[atom_to_list(Key), integer_to_list(Value)]
           || Name <- Names, {Key, Value} <- lists:sort(?APPLICATION:get_all_env(Name))],
    ["<", lists:join("+", Running), "/", Starting, "/", Strays, "/", Env, ">"].

%% --- callbacks ---

note({Name, Driver}, Word) ->
    Driver ! {noted, Name, Word},
    ok.

note({Name, _} = Self, Before, After) ->
    note(Self, [Before, atom_to_list(Name), After]).

start(normal, {Name, _} = Self) ->
    note(Self, "+", ""),
    {_, _, _, Starts, _, _, _, Stray, _} = app(Name),
    Attempt = ets:update_counter(?MODULE, {attempt, Name}, 1, {{attempt, Name}, 0}),
    case Attempt =< length(Starts) andalso lists:nth(Attempt, Starts) of
        false -> start_top(Self, Stray);
        ok -> start_top(Self, Stray);
        gated ->
            ets:insert(?MODULE, {{gate, Name}, self()}),
            receive go -> start_top(Self, Stray) end;
        gated_error ->
            ets:insert(?MODULE, {{gate, Name}, self()}),
            receive go -> {error, no} end;
        error -> {error, no};
        crash -> error(crash)
    end.

start_top({Name, _} = Self, Stray) ->
    Parent = self(),
    Top = spawn_link(fun() ->
        process_flag(trap_exit, true),
        Stray andalso ets:insert(?MODULE, {{stray, spawn(fun() -> receive never -> ok end end)}, Name}),
        Parent ! ready,
        top(Self, Parent)
    end),
    receive ready -> ok end,
    ets:insert(?MODULE, {{top, Name}, Top}),
    {ok, Top, Self}.

top(Self, Parent) ->
    receive
        {crash, Reason} -> exit(Reason);
        {'EXIT', Parent, Reason} ->
            note(Self, "~", [":", atom_to_list(Reason)]),
            exit(Reason)
    end.

start_phase(Phase, normal, {Does, Name, Driver}) ->
    note({Name, Driver}, "", ["/", atom_to_list(Phase)]),
    %% OTP leaves the tree behind then (law APP-08): it is not looked at.
    Does =:= ok orelse ets:match_delete(?MODULE, {{stray, '_'}, Name}),
    case Does of
        ok -> ok;
        error -> {error, no};
        crash -> error(crash)
    end.

prep_stop({Name, _} = Self) ->
    note(Self, "prep ", ""),
    {_, _, _, _, _, Does, _, _, _} = app(Name),
    Does =:= ok orelse error(crash),
    Self.

stop({Name, _} = Self) ->
    note(Self, "-", ""),
    {_, _, _, _, _, _, Does, _, _} = app(Name),
    Does =:= ok orelse error(crash),
    ok.

config_change(Changed, New, Removed) ->
    %% It is run by the controller. Keys begin with the name of their owner.
    Keys = [Key || {Key, _} <- Changed ++ New] ++ Removed,
    Name = list_to_atom([hd(atom_to_list(hd(Keys)))]),
    {ok, {_, Self}} = ?APPLICATION:get_key(Name, mod),
    Words = fun(Settings) -> [[atom_to_list(K), integer_to_list(V)] || {K, V} <- lists:sort(Settings)] end,
    note(Self, "*", [Words(Changed), "/", Words(New), "/", [atom_to_list(K) || K <- lists:sort(Removed)]]),
    ok.
