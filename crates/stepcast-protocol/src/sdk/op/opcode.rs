//! The names of what an SDK reports.

use std::fmt;

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $checkpoint:ident;)*) => {
        /// What an op says that has happened or is wanted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Opcode {
            $($(#[$doc])* $name,)*
        }

        impl Opcode {
            /// Every opcode.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The opcode of this name; nothing when we do not know it.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }

            /// Whether a checkpoint may contain it, rather than the answer to a call only.
            #[must_use]
            pub fn may_be_checkpointed(self) -> bool {
                match self { $(Self::$name => opcodes!(@checkpoint $checkpoint),)* }
            }
        }
    };
    (@checkpoint anywhere) => { true };
    (@checkpoint answer) => { false };
}

opcodes! {
    /// A step was found and has not run.
    StepPlanned = "StepPlanned", anywhere;
    /// A step returned.
    StepRun = "StepRun", anywhere;
    /// A step returned, as older SDKs say it.
    Step = "Step", anywhere;
    /// A step threw and may be tried again.
    StepError = "StepError", answer;
    /// A step threw for good.
    StepFailed = "StepFailed", anywhere;
    /// The run sleeps.
    Sleep = "Sleep", answer;
    /// The run waits for an event.
    WaitForEvent = "WaitForEvent", answer;
    /// The run waits for a signal.
    WaitForSignal = "WaitForSignal", answer;
    /// The run calls another function.
    InvokeFunction = "InvokeFunction", answer;
    /// The server makes an HTTP request to a model.
    AiGateway = "AIGateway", answer;
    /// The server makes an HTTP request.
    Gateway = "Gateway", answer;
    /// The function returned.
    RunComplete = "RunComplete", anywhere;
    /// An endpoint that is a run answered its request.
    SyncRunComplete = "SyncRunComplete", anywhere;
    /// The function wants to be called again.
    DiscoveryRequest = "DiscoveryRequest", answer;
    /// A run is to be started when this one has ended.
    DeferAdd = "DeferAdd", anywhere;
    /// Such a run is not to be started.
    DeferAbort = "DeferAbort", anywhere;
    /// Nothing.
    None = "None", answer;
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
