%% Programs, supervision trees, state machines, event managers, process groups,
%% servers and applications on Erlang itself; registries, tasks and pools on Elixir. Reads one
%% term a line, writes one line for each: what was seen, in the same words as
%% Resurgam.
%%
%% Runs on one scheduler (+S 1:1). The processes of a program have the priority
%% `high`, who drives them has `normal`: so the driver runs only when none of
%% them can, which is when everything has come to rest.
-module(proof).
-export([main/0]).

main() ->
    Port = open_port({fd, 0, 1}, [{line, 1 bsl 20}, binary, eof]),
    serve(Port, []).

serve(Port, Begun) ->
    receive
        {Port, {data, {noeol, Part}}} ->
            serve(Port, [Begun, Part]);
        {Port, {data, {eol, Rest}}} ->
            Line = binary_to_list(iolist_to_binary([Begun, Rest])),
            {ok, Tokens, _} = erl_scan:string(Line ++ "."),
            {ok, Case} = erl_parse:parse_term(Tokens),
            port_command(Port, [answer(Case), $\n]),
            serve(Port, []);
        {Port, eof} ->
            halt(0)
    end.

%% Each case has a driver of its own, so that nothing is left behind.
answer(Case) ->
    {Driver, Monitor} = spawn_monitor(fun() -> exit({seen, run(Case)}) end),
    receive
        {'DOWN', Monitor, process, Driver, {seen, Line}} -> Line;
        {'DOWN', Monitor, process, Driver, Reason} ->
            io_lib:format("the driver failed: ~0p", [Reason])
    end.

run({signals, Program}) -> signals:run(Program);
run({tree, Tree}) -> tree:run(Tree);
run({statem, Script}) -> statem:run(Script);
run({events, Script}) -> events:run(Script);
run({groups, Script}) -> groups:run(Script);
run({keys, Script}) -> 'Elixir.Proof.Keys':run(Script);
run({tasks, Scripts}) -> 'Elixir.Proof.Tasks':run(Scripts);
run({pools, Script}) -> 'Elixir.Proof.Pools':run(Script);
run({applications, Script}) -> applications:run(Script);
run({servers, Script}) -> servers:run(Script).
