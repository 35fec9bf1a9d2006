//! Scripts as Erlang terms.

use std::fmt::{self, Display, Formatter};

use super::script::{
    Act, Ask, Bond, Case, Command, Due, End, Event, Init, Life, Limit, Manner, OnEnd, Plan, Reason,
    Start, Step, Target, Then,
};
use crate::writing::List;

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{}}}", List(&self.traps), List(&self.steps))
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Do(who, command) => write!(f, "{{do,{who},{command}}}"),
            Self::Release(slot) => write!(f, "{{release,{slot}}}"),
            Self::Wait => f.write_str("wait"),
        }
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(start) => start.fmt(f),
            Self::Call(to, limit, event) => write!(f, "{{call,{to},{limit},{event}}}"),
            Self::Cast(to, event) => write!(f, "{{cast,{to},{event}}}"),
            Self::Send(to, event) => write!(f, "{{send,{to},{event}}}"),
            Self::Response(manner, limit) => write!(f, "{{response,{manner},{limit}}}"),
            Self::Add(to, event) => write!(f, "{{add,{to},{event}}}"),
            Self::Gather(manner, limit) => write!(f, "{{gather,{manner},{limit}}}"),
            Self::Stop(whom, limit, reason) => write!(f, "{{stop,{whom},{limit},{reason}}}"),
            Self::Sys(whom, limit, ask) => write!(f, "{{sys,{whom},{limit},{ask}}}"),
            Self::Terminate(whom, reason) => write!(f, "{{terminate,{whom},{reason}}}"),
            Self::Exit(slot, reason) => write!(f, "{{exit,{slot},{reason}}}"),
            Self::Link(slot) => write!(f, "{{link,{slot}}}"),
            Self::Unlink(slot) => write!(f, "{{unlink,{slot}}}"),
            Self::Monitor(slot) => write!(f, "{{monitor,{slot}}}"),
            Self::Demonitor(slot) => write!(f, "{{demonitor,{slot}}}"),
            Self::Whereis(slot) => write!(f, "{{whereis,{slot}}}"),
            Self::Answer(value) => write!(f, "{{answer,{value}}}"),
            Self::End(reason) => write!(f, "{{'end',{reason}}}"),
        }
    }
}

impl Display for Start {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            slot,
            bond,
            name,
            limit,
            life,
            init,
            held,
        } = self;
        let bond = match bond {
            Bond::Free => "start",
            Bond::Linked => "start_link",
            Bond::Monitored => "start_monitor",
        };
        let name = name.map_or("none".to_owned(), |name| name.to_string());
        write!(
            f,
            "{{start,{slot},{bond},{name},{limit},{life},{init},{held}}}"
        )
    }
}

impl Display for Life {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let on_end = match self.on_end {
            OnEnd::Nothing => "nothing",
            OnEnd::Hold => "hold",
            OnEnd::Crash => "crash",
        };
        write!(f, "{{{},{},{on_end}}}", self.traps, self.on_info)
    }
}

impl Display for Init {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(then) => write!(f, "{{ok,{then}}}"),
            Self::Ignore => f.write_str("ignore"),
            Self::Stop(reason) => write!(f, "{{stop,{reason}}}"),
            Self::Raise(reason) => write!(f, "{{raise,{reason}}}"),
            Self::Crash => f.write_str("crash"),
        }
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{}}}", self.number, self.plan)
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{}}}", List(&self.acts), self.end)
    }
}

impl Display for Act {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply => f.write_str("reply"),
            Self::ReplyOldest => f.write_str("reply_oldest"),
            Self::HandOut => f.write_str("hand_out"),
            Self::CastSelf(event) => write!(f, "{{cast_self,{event}}}"),
            Self::CallSelf => f.write_str("call_self"),
            Self::Hold => f.write_str("hold"),
            Self::Trap(trap) => write!(f, "{{trap,{trap}}}"),
            Self::Link(who) => write!(f, "{{link,{who}}}"),
            Self::Monitor(who) => write!(f, "{{monitor,{who}}}"),
            Self::ExitSelf(reason) => write!(f, "{{exit_self,{reason}}}"),
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(then) => write!(f, "{{ok,{then}}}"),
            Self::Stop(reason) => write!(f, "{{stop,{reason}}}"),
            Self::StopReply(reason) => write!(f, "{{stop_reply,{reason}}}"),
            Self::Raise(reason) => write!(f, "{{raise,{reason}}}"),
            Self::Crash => f.write_str("crash"),
        }
    }
}

impl Display for Then {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Hibernate => f.write_str("hibernate"),
            Self::Continue(event) => write!(f, "{{continue,{event}}}"),
            Self::Timeout(Due::Zero, event) => write!(f, "{{timeout,zero,{event}}}"),
            Self::Timeout(Due::Short, event) => write!(f, "{{timeout,short,{event}}}"),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(slot) => write!(f, "{{pid,{slot}}}"),
            Self::Name(slot) => write!(f, "{{name,{slot}}}"),
        }
    }
}

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspend => f.write_str("suspend"),
            Self::Resume => f.write_str("resume"),
            Self::State => f.write_str("get_state"),
            Self::Replace(state) => write!(f, "{{replace_state,{state}}}"),
            Self::Crash => f.write_str("crash"),
            Self::Status => f.write_str("get_status"),
        }
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "zero",
            Self::Short => "short",
            Self::Never => "infinity",
        })
    }
}

impl Display for Manner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "check_response",
            Self::Wait => "wait_response",
            Self::Receive => "receive_response",
        })
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::ShutdownWith => "{shutdown,1}",
            Self::Kill => "kill",
            Self::Oops => "oops",
        })
    }
}
