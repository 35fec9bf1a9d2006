%% A server that follows a script.
-module(servers_follower).
-behaviour(gen_server).
-export([state/1, with_state/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, handle_continue/2, terminate/2]).

%% The state is the number of events handled, if nobody replaces it.
-record(server, {
    state = 0, driver, clients, unit, slot, start, on_info, on_end,
    %% The calls without a reply, by the numbers of their events, the newest
    %% first.
    pending = [],
    on_timeout,
    %% Whether it has sent itself an exit signal.
    exited = false
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
    note([Kind, ":", {who, Pid}, ":", servers:reason(Reason)], Server),
    follow({0, Plan}, none, Server).

terminate(Reason, #server{on_end = OnEnd} = Server) ->
    note(["terminate:", servers:reason(Reason)], Server),
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
    Server#server{exited = true};
act(_, _, Server) -> Server.

%% One that was started with a monitor does not: it would end by any exit of
%% the starter. One that has sent itself an exit signal changes nothing any
%% more: the signal would be received with the flag of a later moment here.
trap(_, #server{exited = true}) -> ok;
trap(Trap, #server{start = Start}) ->
    process_flag(trap_exit, Trap andalso Start =/= start_monitor).

note(What, #server{driver = Driver, slot = Slot, state = State}) ->
    Driver ! {server, Slot, [What, "@", integer_to_list(State)]}.

%% Waits until the script lets this place go on.
hold(#server{driver = Driver, slot = Slot}) ->
    Gate = make_ref(),
    Driver ! {holds, Slot, self(), Gate},
    receive {release, Gate} -> ok end.
