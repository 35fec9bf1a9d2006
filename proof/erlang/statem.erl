%% A state machine on OTP's gen_statem that does what a script says.
%%
%% All messages lie in its mailbox before it begins, and timers that are not
%% due at once run for hours, so nothing depends on the time it takes.
-module(statem).
-behaviour(gen_statem).
-export([run/1]).
-export([callback_mode/0, init/1, handle_event/4, format_status/1]).

%% The timeouts set by init, what each event does, what each enter call does,
%% and how many messages there are.
run({Initial, Events, Enters, Messages}) ->
    Self = self(),
    Starter = spawn_link(fun() ->
        {ok, _} = gen_statem:start(?MODULE, {Self, Initial, Events, Enters}, []),
        ok
    end),
    Machine = receive {begun, Pid} -> Pid end,
    [gen_statem:cast(Machine, N) || N <- lists:seq(1, Messages)],
    Machine ! go,
    unlink(Starter),
    sys:get_status(Machine, infinity),
    Running = receive {running, Timeouts} -> Timeouts end,
    gen_statem:cast(Machine, flush),
    Log = gen_statem:call(Machine, log, infinity),
    gen_statem:stop(Machine),
    Left = lists:sort([[timeout(Type), integer_to_list(C)] || {Type, C} <- Running]),
    lists:join(" ", lists:reverse(Log) ++ ["running" | Left]).

callback_mode() -> [handle_event_function, state_enter].

init({Owner, Initial, Events, Enters}) ->
    Owner ! {begun, self()},
    receive go -> ok end,
    {ok, 0, {Owner, Events, Enters, []}, [action(A) || A <- Initial]}.

format_status(#{data := {Owner, _, _, _}, timeouts := Timeouts} = Status) ->
    Owner ! {running, Timeouts},
    Status.

handle_event(enter, Old, State, {Owner, Events, Enters, Log}) ->
    Entry = io_lib:format("~p>~p", [Old, State]),
    {Actions, Rest} = step(Enters, []),
    {keep_state, {Owner, Events, Rest, [Entry | Log]}, [action(A) || A <- Actions]};
handle_event({call, From}, log, _, {_, _, _, Log}) ->
    {keep_state_and_data, [{reply, From, Log}]};
handle_event(cast, flush, _, {Owner, _, _, Log}) ->
    {next_state, 9, {Owner, [], [], ["flush" | Log]}};
handle_event(Type, Content, State, {Owner, Events, Enters, Log}) ->
    Entry = [type(Type), io_lib:format("~p@~p", [Content, State])],
    {{To, Actions}, Rest} = step(Events, {keep, []}),
    Data = {Owner, Rest, Enters, [Entry | Log]},
    Done = [action(A) || A <- Actions],
    case To of
        keep -> {keep_state, Data, Done};
        repeat -> {repeat_state, Data, Done};
        Next -> {next_state, Next, Data, Done}
    end.

step([], Nothing) -> {Nothing, []};
step([Step | Rest], _) -> {Step, Rest}.

action(postpone) -> postpone;
action({next_event, Content}) -> {next_event, internal, Content};
action({start, Name, 0, Content}) -> {name(Name), 0, Content};
action({start, event, _, Content}) -> {timeout, 3600000, Content};
action({start, Name, _, Content}) -> {name(Name), 7200000, Content};
action({cancel, Name}) -> {name(Name), cancel};
action({update, Name, Content}) -> {name(Name), update, Content}.

name(event) -> timeout;
name(state) -> state_timeout;
name(Name) -> {timeout, Name}.

type(cast) -> "m";
type(internal) -> "i";
type(Type) -> timeout(Type).

timeout(timeout) -> "t";
timeout(state_timeout) -> "s";
timeout({timeout, Name}) -> atom_to_list(Name).
