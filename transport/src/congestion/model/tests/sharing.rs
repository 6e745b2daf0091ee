//! Several connections on one path.

use super::simulation::{FlowKind, Simulation};
use super::{mbit, ms, secs};

#[test]
fn a_second_connection_has_its_share_within_10_seconds() {
    for products in [0.25, 1.0, 4.0] {
        let mut path = Simulation::new(mbit(200.0), ms(100), products).with_flow(FlowKind::Model);
        path.run_until(secs(10));
        path.add_flow(FlowKind::Model);
        path.run_until(secs(30));
        let shares = [0, 1].map(|flow| path.share(flow, secs(20), secs(30)));
        assert!(shares.iter().all(|share| *share > 0.4), "{shares:?}, queue: {products} products");
    }
}

/// The first share is that of the model, over a minute.
fn shares_beside_cubic(products: f64, first: FlowKind, second: FlowKind) -> [f64; 2] {
    let mut path = Simulation::new(mbit(100.0), ms(50), products).with_flow(first);
    path.run_until(secs(5));
    path.add_flow(second);
    path.run_until(secs(65));
    let shares = [0, 1].map(|flow| path.share(flow, secs(5), secs(65)));
    if matches!(first, FlowKind::Model) { shares } else { [shares[1], shares[0]] }
}

#[test]
fn cubic_that_starts_later_leaves_and_has_a_share() {
    for products in [1.0, 4.0] {
        let [model, cubic] = shares_beside_cubic(products, FlowKind::Model, FlowKind::Cubic);
        assert!(
            (0.25..=0.75).contains(&model),
            "model {model}, CUBIC {cubic}, {products} products"
        );
        assert!(model + cubic > 0.95, "model {model}, CUBIC {cubic}, {products} products");
    }
}

#[test]
fn cubic_that_starts_first_leaves_and_has_a_share() {
    for products in [1.0, 4.0] {
        let [model, cubic] = shares_beside_cubic(products, FlowKind::Cubic, FlowKind::Model);
        assert!(
            (0.25..=0.75).contains(&model),
            "model {model}, CUBIC {cubic}, {products} products"
        );
        assert!(model + cubic > 0.95, "model {model}, CUBIC {cubic}, {products} products");
    }
}

/// The median of the model's shares beside BBR over 30 seconds, of five runs that differ by chance.
fn share_beside_bbr(products: f64, first: FlowKind, second: FlowKind) -> f64 {
    let mut shares: Vec<f64> = (0..5)
        .map(|seed| {
            let path = Simulation::new(mbit(100.0), ms(50), products).with_seed(seed);
            let mut path = path.with_flow(first);
            path.run_until(ms(5000 + 20 * seed));
            path.add_flow(second);
            path.run_until(secs(40));
            let model = if matches!(first, FlowKind::Model) { 0 } else { 1 };
            path.share(model, secs(10), secs(40))
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    println!("{first:?} first, {products} products: {shares:.3?}");
    shares[2]
}

#[test]
fn bbr_that_starts_later_leaves_and_has_a_share() {
    for products in [1.0, 2.0] {
        let share = share_beside_bbr(products, FlowKind::Model, FlowKind::Bbr);
        assert!((0.25..=0.75).contains(&share), "model {share}, {products} products");
    }
}

#[test]
fn bbr_that_starts_first_leaves_and_has_a_share() {
    for products in [1.0, 2.0] {
        let share = share_beside_bbr(products, FlowKind::Bbr, FlowKind::Model);
        assert!((0.25..=0.75).contains(&share), "model {share}, {products} products");
    }
}
