%% An event manager on OTP's gen_event whose handlers do what a script says.
%%
%% One process takes the steps, one after the other, and owns the supervised
%% handlers; after each step it waits until the manager is done.
-module(events).
-behaviour(gen_event).
-export([run/1]).
-export([init/1, handle_event/2, handle_call/2, handle_info/2, terminate/2]).

run(Steps) ->
    {ok, Manager} = gen_event:start(),
    Words = [seen(step(Manager, Step), Manager) || Step <- Steps],
    gen_event:stop(Manager),
    lists:join(" ", Words ++ [seen("stop", none)]).

%% What a step came to, what the handlers noted, and what their owner was told.
seen(Result, Manager) ->
    Manager =:= none orelse gen_event:which_handlers(Manager),
    [Result, "[", lists:join(",", noted()), "](", lists:join(",", told()), ")"].

noted() ->
    receive {noted, Word} -> [Word | noted()] after 0 -> [] end.

told() ->
    receive
        {gen_event_EXIT, {_, Name}, Reason} -> [[atom_to_list(Name), ":", told(Reason)] | told()]
    after 0 -> []
    end.

told(normal) -> "normal";
told(shutdown) -> "shutdown";
told({swapped, {_, Name}, _}) -> ["swapped ", atom_to_list(Name)];
told(_) -> "failed".

step(M, {add, Name, Init}) -> result(gen_event:add_handler(M, id(Name), args(Name, Init)));
step(M, {own, Name, Init}) -> result(gen_event:add_sup_handler(M, id(Name), args(Name, Init)));
step(M, {delete, Name}) -> result(gen_event:delete_handler(M, id(Name), deleted));
step(M, {swap, Old, New, Init}) ->
    result(gen_event:swap_handler(M, {id(Old), swapped}, {id(New), args(New, Init)}));
step(M, {notify, Number, Plan}) -> result(gen_event:notify(M, {Number, Plan}));
step(M, {sync_notify, Number, Plan}) -> result(gen_event:sync_notify(M, {Number, Plan}));
step(M, {call, Name, Do}) -> result(gen_event:call(M, id(Name), Do));
step(M, which) -> lists:join("+", [atom_to_list(Name) || {_, Name} <- gen_event:which_handlers(M)]).

id(Name) -> {?MODULE, Name}.

args(Name, Init) -> {Name, self(), Init}.

result(ok) -> "ok";
result({left, Name}) -> ["left ", atom_to_list(Name)];
result({error, bad_module}) -> "missing";
result({error, module_not_found}) -> "missing";
result({error, _}) -> "failed";
result({'EXIT', _}) -> "failed";
result(Reply) -> atom_to_list(Reply).

init({{Name, Log, Init}, error}) -> init(Name, Log, Init, "none");
init({{Name, Log, Init}, {left, Old}}) -> init(Name, Log, Init, atom_to_list(Old));
init({Name, Log, Init}) -> init(Name, Log, Init, "new").

init(Name, Log, Init, From) ->
    Log ! {noted, [atom_to_list(Name), "<", From]},
    case Init of
        ok -> {ok, {Name, Log}};
        no -> {error, no};
        crash -> error(crash)
    end.

handle_event({Number, Plan}, {Name, Log} = State) ->
    Log ! {noted, [atom_to_list(Name), integer_to_list(Number)]},
    case proplists:get_value(Name, Plan, keep) of
        keep -> {ok, State};
        remove -> remove_handler;
        crash -> error(crash)
    end.

handle_call(Do, {Name, Log} = State) ->
    Log ! {noted, [atom_to_list(Name), "?"]},
    case Do of
        keep -> {ok, reply, State};
        remove -> {remove_handler, reply};
        crash -> error(crash)
    end.

handle_info(_, State) -> {ok, State}.

terminate(Why, {Name, Log}) ->
    Log ! {noted, [atom_to_list(Name), "!", why(Why)]},
    {left, Name}.

why(deleted) -> "deleted";
why(swapped) -> "swapped";
why(remove_handler) -> "removed";
why(stop) -> "stopped";
why({stop, _}) -> "owner";
why({error, _}) -> "failed".
