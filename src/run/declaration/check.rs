//! Checks job files: every fault of every file, before anything runs.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_yaml::Spanned;

use super::check_provision::provision_parameters;
use super::check_rules::rules;
use super::desire::{Configure, PlatformInputs, Setting, TEAM, filled};
use super::wire::{ConfigureParameters, JobFile, ProvisionParameters, RepairFile, Scope, Triggers};
use super::{EMBEDDED, JobDeclarations, JobFault, JobFaults, JobSummary};
use crate::run::calendar::Schedule;
use crate::run::template::Template;
use crate::run::yaml;
use crate::values::names::{GroupName, NameError, TeamId};

pub(in crate::run) const CONFIGURE: &str = "configure-harbor";
pub(in crate::run) const PROVISION: &str = "provision-team";
const REPAIR: &str = "repair-drift";

/// The faults of one file, as they are found.
pub(super) struct Faults<'a> {
    file: &'a str,
    found: Vec<JobFault>,
}

impl Faults<'_> {
    pub(super) fn at<T>(&mut self, place: &Spanned<T>, message: impl Into<String>, hint: impl Into<String>) {
        let (line, column) = (place.referenced.line(), place.referenced.column());
        self.found.push(JobFault {
            file: self.file.to_owned(),
            line: line.max(1),
            column: column.max(1),
            message: message.into(),
            hint: hint.into(),
        });
    }
}

pub(super) fn load(files: &[(String, String)], now: DateTime<Utc>) -> Result<JobDeclarations, JobFaults> {
    let mut found = Vec::new();
    for (file, _) in files {
        if !EMBEDDED.iter().any(|(name, _)| name == file) {
            let names = EMBEDDED.map(|(name, _)| name).join(", ");
            found.push(fault(
                file,
                "nothing carries out a job of this name".to_owned(),
                format!("the jobs are {names}"),
            ));
        }
    }
    let text = |name: &str| {
        let file = format!("{name}.yaml");
        let given = files
            .iter()
            .find(|(given, _)| *given == file)
            .map(|(_, text)| text.as_str());
        given
            .or_else(|| {
                EMBEDDED
                    .iter()
                    .find(|(embedded, _)| *embedded == file)
                    .map(|(_, text)| *text)
            })
            .unwrap_or_default()
    };
    let configure = read::<JobFile<ConfigureParameters>>(CONFIGURE, text(CONFIGURE), &mut found);
    let provision = read::<JobFile<ProvisionParameters>>(PROVISION, text(PROVISION), &mut found);
    let repair = read::<RepairFile>(REPAIR, text(REPAIR), &mut found);

    let configure = configure.map(|job| {
        with_faults(CONFIGURE, &mut found, |faults| {
            let summary = summary(&job, CONFIGURE, faults);
            let rules = rules(&job, Scope::Platform, faults);
            (configure_parameters(job.parameters, faults), rules, summary)
        })
    });
    let shared = configure
        .as_ref()
        .map(|(configure, ..)| configure.shared_groups.clone());
    let provision = provision.map(|job| {
        with_faults(PROVISION, &mut found, |faults| {
            let summary = summary(&job, PROVISION, faults);
            let rules = rules(&job, Scope::Team, faults);
            (
                provision_parameters(job.parameters, shared.as_deref(), faults),
                rules,
                summary,
            )
        })
    });
    let repair = repair.map(|job| with_faults(REPAIR, &mut found, |faults| repair_job(&job, now, faults)));

    match (configure, provision, repair) {
        (
            Some((configure, Some(platform_rules), first)),
            Some((provision, Some(team_rules), second)),
            Some(Some(third)),
        ) if found.is_empty() => {
            let (repair, third) = third;
            Ok(JobDeclarations {
                configure,
                provision,
                platform_rules,
                team_rules,
                repair,
                summaries: vec![first, second, third],
            })
        }
        _ => Err(JobFaults(found)),
    }
}

fn fault(file: &str, message: String, hint: String) -> JobFault {
    JobFault {
        file: file.to_owned(),
        line: 1,
        column: 1,
        message,
        hint,
    }
}

fn with_faults<T>(job: &str, found: &mut Vec<JobFault>, check: impl FnOnce(&mut Faults<'_>) -> T) -> T {
    let file = format!("{job}.yaml");
    let mut faults = Faults {
        file: &file,
        found: Vec::new(),
    };
    let checked = check(&mut faults);
    found.append(&mut faults.found);
    checked
}

fn read<T: DeserializeOwned>(job: &str, text: &str, found: &mut Vec<JobFault>) -> Option<T> {
    yaml::from_text(text)
        .map_err(|misread| {
            let hint = "jobs/job.schema.json says what a job file may hold".to_owned();
            let mut fault = fault(&format!("{job}.yaml"), misread.message, hint);
            (fault.line, fault.column) = (misread.line, misread.column);
            found.push(fault);
        })
        .ok()
}

fn check_name(name: &Spanned<String>, wanted: &str, faults: &mut Faults<'_>) {
    if name.value != wanted {
        faults.at(
            name,
            format!("the job is called {:?}", name.value),
            format!("in this file it is {wanted}"),
        );
    }
}

fn summary<P>(job: &JobFile<P>, name: &str, faults: &mut Faults<'_>) -> JobSummary {
    check_name(&job.name, name, faults);
    // What a file says must be what happens: nothing but a commit starts this job by itself.
    if !job.triggers.commit {
        faults.at(
            &job.name,
            "nothing would trigger the job",
            "give triggers: {commit: true}",
        );
    }
    if let Some(schedule) = &job.triggers.schedule {
        let hint = format!("{REPAIR} carries its steps out on a schedule");
        faults.at(schedule, "this job runs on commits alone", hint);
    }
    JobSummary {
        name: job.name.value.clone(),
        description: job.description.clone(),
        on_commit: job.triggers.commit,
        schedule: None,
        does: job
            .steps
            .iter()
            .map(|step| step.operation.value.to_string())
            .collect(),
    }
}

fn schedule(triggers: &Triggers, now: DateTime<Utc>, faults: &mut Faults<'_>) -> Option<Schedule> {
    let text = triggers.schedule.as_ref()?;
    Schedule::parse(&text.value, now)
        .map_err(|error| faults.at(text, error.message, error.hint))
        .ok()
}

fn repair_job(
    job: &RepairFile,
    now: DateTime<Utc>,
    faults: &mut Faults<'_>,
) -> Option<(Schedule, JobSummary)> {
    check_name(&job.name, REPAIR, faults);
    let schedule = schedule(&job.triggers, now, faults);
    if job.triggers.schedule.is_none() {
        faults.at(
            &job.name,
            "the job has no schedule",
            "give triggers: {schedule: \"*/30 * * * *\"}",
        );
    }
    if job.triggers.commit {
        faults.at(
            &job.name,
            "this job runs on its schedule alone",
            "take commit out of its triggers",
        );
    }
    for whole in [CONFIGURE, PROVISION] {
        if !job.repairs.iter().any(|repaired| repaired.value == whole) {
            let hint = "a look for drift is a look at everything: name both jobs";
            let place = job.repairs.first().unwrap_or(&job.name);
            faults.at(place, format!("{whole} is not among what is repaired"), hint);
        }
    }
    for repaired in &job.repairs {
        if ![CONFIGURE, PROVISION].contains(&repaired.value.as_str()) {
            let message = format!("there is no job {:?} to repair", repaired.value);
            faults.at(repaired, message, format!("{CONFIGURE} and {PROVISION} are"));
        }
    }
    let does = job
        .repairs
        .iter()
        .map(|repaired| repaired.value.clone())
        .collect();
    let schedule = schedule?;
    let summary = JobSummary {
        name: job.name.value.clone(),
        description: job.description.clone(),
        on_commit: job.triggers.commit,
        schedule: Some(schedule.clone()),
        does,
    };
    Some((schedule, summary))
}

fn configure_parameters(parameters: ConfigureParameters, faults: &mut Faults<'_>) -> Configure {
    let mut configuration = std::collections::BTreeMap::new();
    for (key, value) in parameters.configuration {
        if key == "robot_name_prefix" {
            let hint = "give parameters.robot_name_prefix";
            faults.at(&value, "the robot name prefix is no setting like others", hint);
        }
        if !(value.value.is_string() || value.value.is_boolean() || value.value.is_number()) {
            let message = format!("{key} has no value that Harbor takes");
            faults.at(&value, message, "text, a number, true or false");
        }
        if key == "oidc_client_secret" || key.ends_with("password") {
            faults.at(
                &value,
                format!("{key} is a secret"),
                "secrets come from files: see oidc-client-secret-file",
            );
        }
        let setting = match value.value.as_str() {
            Some(text) => template(
                &Spanned::new(text.to_owned(), value.referenced, value.defined),
                &PlatformInputs::NAMES,
                faults,
            )
            .map(Setting::Filled),
            None => Some(Setting::Fixed(value.value)),
        };
        configuration.extend(setting.map(|setting| (key, setting)));
    }
    let shared_groups = parameters
        .shared_groups
        .iter()
        .filter_map(|group| named(GroupName::new(group.value.clone()), group, faults))
        .collect();
    Configure {
        configuration,
        robot_prefix: parameters.robot_name_prefix,
        shared_groups,
    }
}

fn template(text: &Spanned<String>, known: &[&str], faults: &mut Faults<'_>) -> Option<Template> {
    Template::parse(&text.value, known)
        .map_err(|error| {
            let known = known
                .iter()
                .map(|name| format!("{{{name}}}"))
                .collect::<Vec<_>>()
                .join(", ");
            faults.at(text, error.to_string(), format!("there is {known}"));
        })
        .ok()
}

/// A template that makes a good name of the shortest and of the longest team id, and so of all between.
pub(super) fn team_template<N: std::str::FromStr<Err = NameError>>(
    text: &Spanned<String>,
    faults: &mut Faults<'_>,
) -> Option<Template> {
    let template = template(text, &[TEAM], faults)?;
    for id in ["a".to_owned(), "x".repeat(58)] {
        let Ok(team) = TeamId::new(id) else { continue };
        if let Err(error) = filled(&template, &team).parse::<N>() {
            faults.at(text, format!("for team {team} the {error}"), "");
            return None;
        }
    }
    Some(template)
}

pub(super) fn named<N, T>(
    name: Result<N, NameError>,
    place: &Spanned<T>,
    faults: &mut Faults<'_>,
) -> Option<N> {
    name.map_err(|error| faults.at(place, error.to_string(), "")).ok()
}
