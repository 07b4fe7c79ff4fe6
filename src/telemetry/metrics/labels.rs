//! What distinguishes series: closed sets, so that their number is bounded.

use std::fmt::Write as _;

use prometheus_client::encoding::{
    EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder,
};

use crate::http;
use crate::sync::access_outcome::AccessResult;
use crate::sync::exposure::ExposedSince;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunResult {
    /// Both sides agree, or differ by no more than the problems that were reported.
    Succeeded,
    /// As `Succeeded`, but removals wait for approval.
    Held,
    /// The plan was reported, nothing changed.
    Previewed,
    /// Ended early by something that may pass by itself; tried again with back-off.
    Failed,
    /// Ended early by something that only the user can fix.
    Stalled,
    /// Ended early because the process stops or the resource changed or went.
    Interrupted,
}

impl RunResult {
    /// Whether the run went through.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::Held | Self::Previewed)
    }
}

/// The side that a request was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestSide {
    /// The directory that is read.
    Directory,
    /// Bitwarden's public API.
    Organization,
    /// The Kubernetes API server.
    Kubernetes,
}

/// The side whose members and groups are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeOf {
    /// What the directory wants: active people and groups in scope.
    Directory,
    /// All that the organization has.
    Organization,
    /// Of these, the ones with an external id of ours.
    Managed,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// Answered, with this status (HTTP) or result code (LDAP).
    Answered(u16),
    /// No connection came about.
    Unreachable,
    /// The connection broke, or nothing came in time, before the answer was whole.
    Interrupted,
}

impl From<http::CallOutcome> for RequestOutcome {
    fn from(outcome: http::CallOutcome) -> Self {
        match outcome {
            http::CallOutcome::Status(status) => Self::Answered(status),
            http::CallOutcome::Unreachable => Self::Unreachable,
            http::CallOutcome::Interrupted => Self::Interrupted,
        }
    }
}

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// The condition is true.
    True,
    /// The condition is false.
    False,
    /// The condition isn't known yet.
    Unknown,
}

impl ConditionStatus {
    /// All statuses, for one series each.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];
}

/// The object as a whole: not divided any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NoLabels;

impl EncodeLabelSet for NoLabels {
    fn encode(&self, _: &mut LabelSetEncoder) -> std::fmt::Result {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByPhase {
    pub phase: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByResult {
    pub result: RunResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByRequest {
    pub side: RequestSide,
    pub endpoint: &'static str,
    pub code: RequestOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByEndpoint {
    pub side: RequestSide,
    pub endpoint: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByChange {
    pub kind: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByAccessResult {
    pub kind: &'static str,
    pub result: AccessResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BySide {
    pub side: SizeOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BySince {
    pub since: ExposedSince,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByReason {
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByCredential {
    pub credential: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByState {
    pub state: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByCondition {
    pub r#type: &'static str,
    pub status: ConditionStatus,
}

impl EncodeLabelValue for RunResult {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Succeeded => "Succeeded",
            Self::Held => "Held",
            Self::Previewed => "Previewed",
            Self::Failed => "Failed",
            Self::Stalled => "Stalled",
            Self::Interrupted => "Interrupted",
        })
    }
}

impl EncodeLabelValue for AccessResult {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Given => "given",
            Self::Taken => "taken",
            Self::Refused => "refused",
        })
    }
}

impl EncodeLabelValue for ExposedSince {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Entry => "entry",
            Self::Seen => "seen",
        })
    }
}

impl EncodeLabelValue for RequestSide {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Directory => "directory",
            Self::Organization => "organization",
            Self::Kubernetes => "kubernetes",
        })
    }
}

impl EncodeLabelValue for SizeOf {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Directory => "directory",
            Self::Organization => "organization",
            Self::Managed => "managed",
        })
    }
}

impl EncodeLabelValue for RequestOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        match self {
            // Any other number is made up by the other side: it gets no series of its own.
            Self::Answered(code @ 0..600) => write!(encoder, "{code}"),
            Self::Answered(_) => encoder.write_str("other"),
            Self::Unreachable => encoder.write_str("unreachable"),
            Self::Interrupted => encoder.write_str("interrupted"),
        }
    }
}

impl EncodeLabelValue for ConditionStatus {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        })
    }
}
