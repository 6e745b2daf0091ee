//! Losses in bursts: a chain of two states, one of which loses every packet.

use super::settings::BurstLoss;
use crate::random::Random;

/// The state of the chain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BurstState {
    is_losing: bool,
}

impl BurstState {
    /// Whether the next packet is lost.
    pub(crate) fn loses_next(&mut self, settings: BurstLoss, random: &mut Random) -> bool {
        // A burst ends after each of its packets with the same probability, so its mean length is the reciprocal.
        let ends = 1.0 / settings.mean_length;
        // In the long run as many bursts start as end: starts x (1 - mean) = ends x mean.
        let starts = ends * settings.mean_loss / (1.0 - settings.mean_loss);
        let change = if self.is_losing { ends } else { starts };
        self.is_losing ^= random.chance(change);
        self.is_losing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_length_of_bursts_have_the_given_means() {
        for (mean_loss, mean_length) in [(0.02, 5.0), (0.1, 1.5), (0.3, 40.0)] {
            let (mut state, mut random) = (BurstState::default(), Random::new(7));
            let settings = BurstLoss { mean_loss, mean_length };
            let (mut lost, mut bursts, mut was_lost) = (0.0, 0.0, false);
            let packets = 2_000_000;
            for _ in 0..packets {
                let is_lost = state.loses_next(settings, &mut random);
                lost += f64::from(is_lost);
                bursts += f64::from(is_lost && !was_lost);
                was_lost = is_lost;
            }
            let (loss, length) = (lost / f64::from(packets), lost / bursts);
            assert!((loss / mean_loss - 1.0).abs() < 0.05, "{loss} instead of {mean_loss}");
            assert!((length / mean_length - 1.0).abs() < 0.05, "{length} instead of {mean_length}");
        }
    }
}
