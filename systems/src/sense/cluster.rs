//! Cluster phase: how steadily each keeps a place relative to the group (Frank and Richardson
//! 2010; Richardson et al. 2012, doi 10.3389/fphys.2012.00405).
//!
//! A constant lag counts as synchrony here, whatever it is. Two in anti-phase have no group phase
//! to keep a place to: look at their phase-locking value instead.

use super::phasor::Phasor;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// For each member, 0 to 1.
    pub members: Vec<f64>,
    /// Of the group, the mean over time.
    pub group: f64,
}

/// Of runs of unit phasors, one a member, all of one length. Steps in which somebody has no phase
/// (a zero) are left out; `None` when none is left.
pub fn cluster(phasors: &[&[Phasor]]) -> Option<Cluster> {
    let steps = phasors.iter().map(|run| run.len()).min()?;
    let complete = |k: &usize| phasors.iter().all(|run| run[*k] != Phasor::ZERO);
    let complete: Vec<usize> = (0..steps).filter(complete).collect();
    if complete.is_empty() {
        return None;
    }
    // Directions only: where the group has none, any is as good, and zero is `atan2`'s.
    let direction = |phasor: Phasor| phasor.unit().unwrap_or(Phasor { re: 1.0, im: 0.0 });
    let group: Vec<Phasor> = complete
        .iter()
        .map(|&k| direction(Phasor::mean(phasors.iter().map(|run| run[k]))))
        .collect();
    let places: Vec<Phasor> = phasors
        .iter()
        .map(|run| {
            Phasor::mean(complete.iter().zip(&group).map(|(&k, group)| run[k] * group.conj()))
        })
        .collect();
    let together = complete.iter().zip(&group).map(|(&k, group)| {
        let kept = phasors.iter().zip(&places);
        Phasor::mean(kept.map(|(run, place)| run[k] * group.conj() * direction(*place).conj()))
            .norm()
    });
    Some(Cluster {
        group: together.sum::<f64>() / complete.len() as f64,
        members: places.iter().map(|place| place.norm()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_keeps_a_place_reads_one_and_whoever_turns_does_not() {
        let turning = |hz: f64, at: f64| -> Vec<Phasor> {
            (0..3000).map(|k| Phasor::from_angle(at + 0.628 * hz * k as f64)).collect()
        };
        let runs = [turning(0.25, 0.0), turning(0.25, 0.7), turning(0.25, 1.5), turning(0.31, 0.0)];
        let runs: Vec<&[Phasor]> = runs.iter().map(Vec::as_slice).collect();
        let three = cluster(&runs[..3]).unwrap();
        assert!(three.members.iter().all(|rho| *rho > 1.0 - 1e-9) && three.group > 1.0 - 1e-9);
        let four = cluster(&runs).unwrap();
        assert!(four.members[..3].iter().all(|rho| *rho > 0.95), "{four:?}");
        assert!(four.members[3] < 0.3, "{four:?}");
        assert_eq!(cluster(&[]), None);
    }
}
