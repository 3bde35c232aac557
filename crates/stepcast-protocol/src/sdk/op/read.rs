//! Ops from the JSON that an SDK sends.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Action, Conflict, Op, Opcode, Parallel, StepOp, Timing};
use crate::{
    limits,
    names::StepId,
    sdk::{
        failure::{Failure, Verdict},
        json::Json,
        step::{StepHash, StepHashError},
        until::{Until, UntilError},
    },
    timestamp::Timestamp,
};

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// It is not a list of objects with an `op`.
    #[error("the ops are not a list of objects with an `op`: {0}")]
    NotOps(#[source] serde_json::Error),
    /// More ops than a run may have steps.
    #[error(
        "{count} ops at once, at most {} are allowed; start fewer steps in parallel",
        limits::STEPS_PER_RUN
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A step without the hash of its id.
    #[error("`{opcode}` has no step: {source}")]
    Step {
        /// The op.
        opcode: Opcode,
        /// What is wrong.
        source: StepHashError,
    },
    /// A step that does not say what it must say.
    #[error("`{opcode}` of step `{step}` has no `{option}`")]
    Missing {
        /// The op.
        opcode: Opcode,
        /// The step.
        step: StepId,
        /// What is missing.
        option: &'static str,
    },
    /// An option of another type.
    #[error("`opts` of `{opcode}` of step `{step}` cannot be read: {source}")]
    Options {
        /// The op.
        opcode: Opcode,
        /// The step.
        step: StepId,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A duration or time that cannot be.
    #[error("`{opcode}` of step `{step}`: {source}")]
    Until {
        /// The op.
        opcode: Opcode,
        /// The step.
        step: StepId,
        /// What is wrong.
        source: UntilError,
    },
    /// Something to do on a conflict that we do not know.
    #[error("step `{step}` has `conflict` `{conflict}`; it can be `fail` or `replace`")]
    Conflict {
        /// The step.
        step: StepId,
        /// The value.
        conflict: String,
    },
    /// A result with too many bytes.
    #[error(
        "step `{step}` returned {bytes} bytes, at most {} are allowed; keep large values elsewhere and return where they are",
        limits::MEMO_BYTES
    )]
    TooLarge {
        /// The step.
        step: StepId,
        /// The size.
        bytes: usize,
    },
}

impl OpError {
    /// Whether the SDK may report something else when it is asked again, rather than the function's code being wrong.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotOps(_) => true,
            Self::TooMany { .. }
            | Self::Step { .. }
            | Self::Missing { .. }
            | Self::Options { .. }
            | Self::Until { .. }
            | Self::Conflict { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}

/// Reads a list of ops, or a single one.
///
/// # Errors
/// [`OpError`] names op, step, value and limit.
pub fn read_ops(body: &[u8]) -> Result<Vec<Op>, OpError> {
    let is_list = body.trim_ascii_start().first() == Some(&b'[');
    let ops: Vec<Written<'_>> = if is_list {
        serde_json::from_slice(body).map_err(OpError::NotOps)?
    } else {
        vec![serde_json::from_slice(body).map_err(OpError::NotOps)?]
    };
    if ops.len() > limits::STEPS_PER_RUN {
        return Err(OpError::TooMany { count: ops.len() });
    }
    ops.iter().map(Written::op).collect()
}

/// An op as it stands on the wire. Checkpoints bring the SDK's own state along, which is ignored.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "displayName")]
    display_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    userland: Option<&'a RawValue>,
    #[serde(borrow, default)]
    opts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timing: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Userland {
    #[serde(default)]
    id: String,
    #[serde(default)]
    index: Option<u64>,
}

/// The options of every kind of op together; each has but a few.
#[derive(Deserialize, Default)]
struct Options<'a> {
    #[serde(default, rename = "type")]
    flavour: Option<String>,
    #[serde(default, rename = "parallelMode")]
    parallel: Option<String>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default, rename = "if")]
    expression: Option<String>,
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    conflict: Option<String>,
    #[serde(default, rename = "function_id")]
    function: Option<String>,
    #[serde(borrow, default)]
    payload: Option<Payload<'a>>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Span {
    a: f64,
    b: f64,
}

impl Written<'_> {
    fn op(&self) -> Result<Op, OpError> {
        let Some(opcode) = Opcode::parse(&self.op) else {
            let opcode = self.op.chars().take(64).collect();
            return Ok(Op::Unknown { opcode });
        };
        Ok(match opcode {
            Opcode::RunComplete => Op::RunComplete { data: self.data() },
            Opcode::SyncRunComplete => Op::SyncRunComplete { data: self.data() },
            Opcode::DiscoveryRequest => Op::DiscoveryRequest,
            Opcode::None => Op::None,
            Opcode::StepPlanned
            | Opcode::StepRun
            | Opcode::Step
            | Opcode::StepError
            | Opcode::StepFailed
            | Opcode::Sleep
            | Opcode::WaitForEvent
            | Opcode::WaitForSignal
            | Opcode::InvokeFunction
            | Opcode::AiGateway
            | Opcode::Gateway
            | Opcode::DeferAdd
            | Opcode::DeferAbort => Op::Step(self.step(opcode)?),
        })
    }

    fn step(&self, opcode: Opcode) -> Result<StepOp, OpError> {
        let id = self.id.and_then(text).unwrap_or_default();
        let hash: StepHash = id
            .parse()
            .map_err(|source| OpError::Step { opcode, source })?;
        let step = self.step_id(hash);
        let options = self.options(opcode, &step)?;
        let action = Reader {
            opcode,
            step: &step,
            written: self,
            options: &options,
        }
        .action()?;
        Ok(StepOp {
            hash,
            step,
            display_name: self.display_name.or(self.name).and_then(text),
            parallel: match options.parallel.as_deref() {
                Some("race") => Parallel::Race,
                _ => Parallel::Joined,
            },
            flavour: options.flavour,
            timing: self.timing(),
            action,
        })
    }

    fn step_id(&self, hash: StepHash) -> StepId {
        let userland: Userland = self.userland.and_then(read).unwrap_or_default();
        let numbered = userland
            .index
            .map(|index| format!("{}:{index}", userland.id));
        let candidates = [numbered.as_deref(), Some(&*userland.id)];
        hash.step_id(candidates.into_iter().flatten())
    }

    /// What the op is told. What a gateway or a deferred run is told is passed on as it is.
    fn options(&self, opcode: Opcode, step: &StepId) -> Result<Options<'_>, OpError> {
        match (opcode, self.opts) {
            (Opcode::AiGateway | Opcode::Gateway | Opcode::DeferAdd | Opcode::DeferAbort, _)
            | (_, None) => Ok(Options::default()),
            (_, Some(opts)) => {
                serde_json::from_str(opts.get()).map_err(|source| OpError::Options {
                    opcode,
                    step: step.clone(),
                    source,
                })
            }
        }
    }

    fn data(&self) -> Json {
        self.data.map(Json::from).unwrap_or_default()
    }

    /// Nanoseconds since 1970 and of duration. They are beyond what JavaScript counts exactly.
    fn timing(&self) -> Option<Timing> {
        let span: Span = self.timing.and_then(read)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "out of range, the nearest time is as good as any"
        )]
        let began_at = Timestamp::from_millis((span.a / 1e6) as i64);
        let took = Duration::try_from_secs_f64(span.b / 1e9).unwrap_or_default();
        Some(Timing { began_at, took })
    }
}

/// One op about a step, with what it is told.
struct Reader<'a> {
    opcode: Opcode,
    step: &'a StepId,
    written: &'a Written<'a>,
    options: &'a Options<'a>,
}

impl Reader<'_> {
    fn action(&self) -> Result<Action, OpError> {
        Ok(match self.opcode {
            Opcode::StepPlanned => Action::Planned {
                input: self.options.input.map(Json::from),
            },
            Opcode::StepError => self.failed(Verdict::TryAgain),
            Opcode::StepFailed => self.failed(Verdict::Final),
            Opcode::Sleep => self.sleep()?,
            Opcode::WaitForEvent => self.wait_for_event()?,
            Opcode::WaitForSignal => self.wait_for_signal()?,
            Opcode::InvokeFunction => self.invoke()?,
            Opcode::AiGateway => Action::AiGateway {
                request: self.opts()?,
            },
            Opcode::Gateway => Action::Gateway {
                request: self.opts()?,
            },
            Opcode::DeferAdd => Action::DeferAdd {
                options: self.opts()?,
            },
            Opcode::DeferAbort => Action::DeferAbort {
                options: self.opts()?,
            },
            Opcode::StepRun
            | Opcode::Step
            | Opcode::RunComplete
            | Opcode::SyncRunComplete
            | Opcode::DiscoveryRequest
            | Opcode::None => self.ran()?,
        })
    }

    fn ran(&self) -> Result<Action, OpError> {
        let data = self.written.data();
        let bytes = data.get().len();
        if bytes > limits::MEMO_BYTES {
            return Err(OpError::TooLarge {
                step: self.step.clone(),
                bytes,
            });
        }
        Ok(Action::Ran { data })
    }

    fn failed(&self, verdict: Verdict) -> Action {
        let thrown = self.written.error.or(self.written.data);
        let failure = Failure::read(thrown.map_or("", RawValue::get).as_bytes());
        Action::Failed { failure, verdict }
    }

    /// The SDK writes no text for a sleep of no length.
    fn sleep(&self) -> Result<Action, OpError> {
        let text = self.written.name.and_then(text).unwrap_or_default();
        let until = if text.is_empty() {
            Until::After(Duration::ZERO)
        } else {
            self.until(&text)?
        };
        Ok(Action::Sleep { until })
    }

    fn wait_for_event(&self) -> Result<Action, OpError> {
        Ok(Action::WaitForEvent {
            event: self.required("name", self.written.name.and_then(text))?,
            expression: self
                .options
                .expression
                .clone()
                .filter(|text| !text.is_empty()),
            timeout: self.timeout()?,
        })
    }

    fn wait_for_signal(&self) -> Result<Action, OpError> {
        let signal = self.options.signal.clone();
        let signal = signal.or_else(|| self.written.name.and_then(text));
        Ok(Action::WaitForSignal {
            signal: self.required("signal", signal)?,
            conflict: self.conflict()?,
            timeout: self.timeout()?,
        })
    }

    fn invoke(&self) -> Result<Action, OpError> {
        let data = self
            .options
            .payload
            .as_ref()
            .and_then(|payload| payload.data);
        Ok(Action::Invoke {
            function: self.required("function_id", self.options.function.clone())?,
            data: data.map_or_else(|| Json::of(&serde_json::Map::new()), Json::from),
            timeout: self.timeout()?,
        })
    }

    fn conflict(&self) -> Result<Conflict, OpError> {
        match self.options.conflict.as_deref() {
            None | Some("" | "fail") => Ok(Conflict::Fail),
            Some("replace") => Ok(Conflict::Replace),
            Some(other) => Err(OpError::Conflict {
                step: self.step.clone(),
                conflict: other.chars().take(64).collect(),
            }),
        }
    }

    /// The SDK writes no text for a timeout that was not given.
    fn timeout(&self) -> Result<Until, OpError> {
        match self.options.timeout.as_deref() {
            None | Some("") => Ok(Until::LONGEST),
            Some(text) => self.until(text),
        }
    }

    fn until(&self, text: &str) -> Result<Until, OpError> {
        Until::parse(text).map_err(|source| OpError::Until {
            opcode: self.opcode,
            step: self.step.clone(),
            source,
        })
    }

    fn required(&self, option: &'static str, value: Option<String>) -> Result<String, OpError> {
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| OpError::Missing {
                opcode: self.opcode,
                step: self.step.clone(),
                option,
            })
    }

    fn opts(&self) -> Result<Json, OpError> {
        let opts = self.written.opts.map(Json::from);
        opts.ok_or_else(|| OpError::Missing {
            opcode: self.opcode,
            step: self.step.clone(),
            option: "opts",
        })
    }
}

/// A value that is left out when it is of another type.
fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

fn text(raw: &RawValue) -> Option<String> {
    read(raw)
}
