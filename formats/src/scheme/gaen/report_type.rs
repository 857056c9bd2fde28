//! Why a key was reported, and how that can change: what the level says in GAEN's words.

use crate::id::Level;

/// GAEN's report type. Source: spec §6.2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ReportType {
    Unknown,
    ConfirmedTest,
    ClinicalDiagnosis,
    SelfReport,
    Recursive,
    Revoked,
}

impl ReportType {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::ConfirmedTest,
        Self::ClinicalDiagnosis,
        Self::SelfReport,
        Self::Recursive,
        Self::Revoked,
    ];

    /// The number in an export: 0 to 5.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::ConfirmedTest => 1,
            Self::ClinicalDiagnosis => 2,
            Self::SelfReport => 3,
            Self::Recursive => 4,
            Self::Revoked => 5,
        }
    }

    /// The type's name in text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::ConfirmedTest => "confirmed-test",
            Self::ClinicalDiagnosis => "clinical-diagnosis",
            Self::SelfReport => "self-report",
            Self::Recursive => "recursive",
            Self::Revoked => "revoked",
        }
    }

    /// The level of a notification that is reported so.
    pub const fn level(self) -> Level {
        match self {
            Self::Unknown | Self::Recursive => Level::UNKNOWN,
            Self::ConfirmedTest => Level::DIAGNOSED,
            Self::ClinicalDiagnosis => Level::CLINICALLY_DIAGNOSED,
            Self::SelfReport => Level::SYMPTOMATIC,
            Self::Revoked => Level::NO_ALERT,
        }
    }

    /// What a level is in GAEN; `None` for `debug`, which GAEN has not. A level without a name is
    /// unknown there too.
    pub const fn from_level(level: Level) -> Option<Self> {
        Some(match level {
            Level::DEBUG => return None,
            Level::NO_ALERT | Level::EXPIRED => Self::Revoked,
            Level::SYMPTOMATIC => Self::SelfReport,
            Level::DIAGNOSED => Self::ConfirmedTest,
            Level::CLINICALLY_DIAGNOSED => Self::ClinicalDiagnosis,
            _ => Self::Unknown,
        })
    }
}

/// Whether a key of one level may be revised to another. Source: spec §6.2.
///
/// As GAEN has it, nothing follows a confirmed test, and what was revoked stays so. It has no way from
/// an unknown type; here there is one to every level: to say why takes nothing back, and an alert that
/// cannot be revoked would be worse.
pub fn may_become(from: Level, to: Level) -> bool {
    let next: &[ReportType] = match ReportType::from_level(from) {
        None | Some(ReportType::Unknown | ReportType::Recursive) => return true,
        Some(ReportType::SelfReport) => &[
            ReportType::ClinicalDiagnosis,
            ReportType::ConfirmedTest,
            ReportType::Revoked,
        ],
        Some(ReportType::ClinicalDiagnosis) => &[ReportType::ConfirmedTest, ReportType::Revoked],
        Some(ReportType::ConfirmedTest | ReportType::Revoked) => &[],
    };
    from == to || next.iter().any(|next| next.level() == to)
}
