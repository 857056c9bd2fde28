//! Classifiers of a relay's log.

use std::collections::HashMap;

use super::Line;

/// What is known of a phone: its address stands in the log, so it has a row even if it never came.
struct Row {
    features: Vec<f64>,
    exposed: bool,
}

/// Bits of the masks of this test's part.
const BITS: usize = 38;

/// Prints every classifier's result; gives how far the best one is above chance, in standard
/// deviations. (One that is trained to find the exposed, and is below, has learned nothing.)
///
/// `chunks` are the paths of the chunks, which every relay knows.
pub(super) fn best(name: &str, log: &[&Line], chunks: &[String], exposed: &[bool]) -> f64 {
    let rows = rows(log, chunks, exposed);
    let results = [
        (
            "hot chunks",
            auc(rows.iter().map(|row| (row.features[HOT], row.exposed))),
        ),
        ("one feature", crossed(&rows, one_feature)),
        ("regression", crossed(&rows, regression)),
        ("Bayes", crossed(&rows, bayes)),
        ("neighbours", crossed(&rows, neighbours)),
    ];
    let mut best = 0.0_f64;
    for (classifier, (auc, sigma)) in results {
        let off = (auc - 0.5) / sigma;
        println!("{name:<22} {classifier:<12} AUC {auc:.3}, {off:+.1} sigma");
        best = best.max(off);
    }
    best
}

/// What two relays learn that put their logs together: masks that differ in one place name a chunk.
/// A phone scores by how many other phones asked for the chunks that it asked for.
pub(super) fn colluding(log: &[Line], exposed: &[bool]) -> (f64, f64) {
    let mut chunks: Vec<Vec<(String, usize)>> = vec![Vec::new(); exposed.len()];
    for of_phone in log.chunk_by(|one, other| one.phone == other.phone) {
        let queries: Vec<(&Line, &Vec<u8>)> = of_phone
            .iter()
            .filter_map(|line| Some((line, line.mask.as_ref()?)))
            .collect();
        for (number, (one, a)) in queries.iter().enumerate() {
            for (other, b) in &queries[number + 1..] {
                if one.relay == other.relay || one.path != other.path {
                    continue;
                }
                let differ: Vec<usize> = (0..BITS)
                    .filter(|bit| is_set(a, *bit) != is_set(b, *bit))
                    .collect();
                if let [chunk] = differ[..] {
                    chunks[one.phone].push((one.path.clone(), chunk));
                }
            }
        }
    }
    let mut asked: HashMap<(String, usize), f64> = HashMap::new();
    for of_phone in &mut chunks {
        of_phone.sort();
        of_phone.dedup();
        for chunk in of_phone.iter() {
            *asked.entry(chunk.clone()).or_default() += 1.0;
        }
    }
    let score = |of_phone: &Vec<(String, usize)>| {
        of_phone
            .iter()
            .map(|chunk| asked[chunk])
            .fold(0.0, f64::max)
    };
    auc(chunks.iter().map(score).zip(exposed.iter().copied()))
}

fn is_set(mask: &[u8], bit: usize) -> bool {
    mask.get(bit / 8)
        .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
}

/// Where the score of [`rows`]' hottest chunk stands.
const HOT: usize = 0;

fn rows(log: &[&Line], chunks: &[String], exposed: &[bool]) -> Vec<Row> {
    let mut of_phone: Vec<Vec<&Line>> = vec![Vec::new(); exposed.len()];
    for line in log {
        of_phone[line.phone].push(line);
    }
    // How many phones fetched each chunk, and have each bit in a mask.
    let gets = |lines: &[&Line], chunk: &String| lines.iter().any(|line| line.path == *chunk);
    let fetched: Vec<f64> = chunks
        .iter()
        .map(|chunk| number(of_phone.iter().filter(|lines| gets(lines, chunk)).count()))
        .collect();
    let mut bits = [0.0; BITS];
    for line in log {
        for (bit, count) in bits.iter_mut().enumerate() {
            let set = line.mask.as_ref().is_some_and(|mask| is_set(mask, bit));
            *count += f64::from(u8::from(set));
        }
    }
    let mean = bits.iter().sum::<f64>() / number(BITS);
    let of = |lines: &Vec<&Line>| -> Vec<f64> {
        let masks: Vec<&Vec<u8>> = lines.iter().filter_map(|line| line.mask.as_ref()).collect();
        let got: Vec<bool> = chunks.iter().map(|chunk| gets(lines, chunk)).collect();
        let hot_get = got.iter().zip(&fetched).filter(|(got, _)| **got);
        let hot_get = hot_get.map(|(_, fetched)| *fetched).fold(0.0, f64::max);
        let hot_bits = masks.iter().map(|mask| {
            (0..BITS)
                .filter(|bit| is_set(mask, *bit))
                .map(|bit| bits[bit] - mean)
                .sum::<f64>()
                / (mean + 1.0)
        });
        let hot = hot_get + hot_bits.sum::<f64>();
        let count =
            |of: &dyn Fn(&Line) -> bool| number(lines.iter().filter(|line| of(line)).count());
        let mut distinct = masks.clone();
        distinct.sort();
        distinct.dedup();
        let queries: Vec<u64> = lines
            .iter()
            .filter(|line| line.mask.is_some())
            .map(|line| line.at)
            .collect();
        let first = lines.first().map_or(0, |line| line.at);
        let since = |at: Option<&u64>| at.map_or(-1.0, |at| number_of(at - first) / 86_400.0);
        let mut features = vec![
            hot,
            number(lines.len()),
            number(masks.len()),
            number(distinct.len()),
            number(masks.len() - distinct.len()),
            count(&|line| !line.answered),
            count(&|line| line.path.starts_with("/ipfs/") && line.mask.is_none()),
            count(&|line| line.path.ends_with("heads")),
            count(&|line| line.path.contains("/after/")),
            count(&|line| line.path.ends_with("format=car")),
            number(lines.iter().map(|line| line.bytes).sum()) / 1e5,
            since(queries.first()),
            since(queries.last()),
            masks
                .iter()
                .flat_map(|mask| mask.iter())
                .map(|byte| f64::from(byte.count_ones()))
                .sum(),
            // In what place of its session the first query stands.
            number(
                lines
                    .iter()
                    .position(|line| line.mask.is_some())
                    .unwrap_or(0),
            ),
        ];
        features.extend(got.iter().map(|got| f64::from(u8::from(*got))));
        for mask in [distinct.first(), distinct.get(1)] {
            features.extend((0..BITS).map(|bit| match mask {
                Some(mask) if is_set(mask, bit) => 1.0,
                Some(_) => -1.0,
                None => 0.0,
            }));
        }
        features
    };
    let rows = of_phone.iter().zip(exposed).map(|(lines, exposed)| Row {
        features: of(lines),
        exposed: *exposed,
    });
    let mut rows: Vec<Row> = rows.collect();
    standardise(&mut rows);
    rows
}

/// Every feature with mean 0 and deviation 1.
fn standardise(rows: &mut [Row]) {
    let count = number(rows.len());
    for feature in 0..rows[0].features.len() {
        let mean = rows.iter().map(|row| row.features[feature]).sum::<f64>() / count;
        let square = rows
            .iter()
            .map(|row| (row.features[feature] - mean).powi(2))
            .sum::<f64>()
            / count;
        let deviation = square.sqrt().max(1e-9);
        rows.iter_mut()
            .for_each(|row| row.features[feature] = (row.features[feature] - mean) / deviation);
    }
}

type Score = Box<dyn Fn(&Row) -> f64>;

/// Trains on each half and judges on the other. The halves' results are independent of one another.
fn crossed(rows: &[Row], train: impl Fn(&[&Row]) -> Score) -> (f64, f64) {
    let half = |odd: bool| -> Vec<&Row> {
        let numbered = rows
            .iter()
            .enumerate()
            .filter(|(at, _)| (at % 2 == 1) == odd);
        numbered.map(|(_, row)| row).collect()
    };
    let judged = [false, true].map(|odd| {
        let score = train(&half(odd));
        auc(half(!odd).into_iter().map(|row| (score(row), row.exposed)))
    });
    let [(one, a), (other, b)] = judged;
    ((one + other) / 2.0, (a * a + b * b).sqrt() / 2.0)
}

/// The one feature that tells most in the training set.
fn one_feature(train: &[&Row]) -> Score {
    let of = |feature: usize| {
        let (auc, _) = auc(train.iter().map(|row| (row.features[feature], row.exposed)));
        (auc - 0.5, feature)
    };
    let all = (0..train[0].features.len()).map(of);
    let (sign, feature) = all.max_by(|a, b| a.0.abs().total_cmp(&b.0.abs())).unwrap();
    Box::new(move |row| row.features[feature] * sign.signum())
}

fn regression(train: &[&Row]) -> Score {
    let mut weights = vec![0.0; train[0].features.len()];
    let share = number(train.iter().filter(|row| row.exposed).count()) / number(train.len());
    for _ in 0..60 {
        let mut slope = vec![0.0; weights.len()];
        for row in train {
            // Both kinds weigh the same, however few the exposed are.
            let weight = if row.exposed {
                0.5 / share
            } else {
                0.5 / (1.0 - share)
            };
            let guess = 1.0 / (1.0 + (-dot(&weights, &row.features)).exp());
            let error = weight * (f64::from(u8::from(row.exposed)) - guess);
            slope
                .iter_mut()
                .zip(&row.features)
                .for_each(|(slope, x)| *slope += error * x);
        }
        let rate = 0.5 / number(train.len());
        weights
            .iter_mut()
            .zip(slope)
            .for_each(|(weight, slope)| *weight += rate * slope - 0.001 * *weight);
    }
    Box::new(move |row| dot(&weights, &row.features))
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Naive Bayes over each feature cut into seven.
fn bayes(train: &[&Row]) -> Score {
    let cut = |x: f64| ((x + 2.0) * 1.75).clamp(0.0, 6.0).floor();
    let place = move |x: f64| {
        let steps = (0..7_u8).find(|step| cut(x) <= f64::from(*step));
        usize::from(steps.unwrap_or(6))
    };
    let mut counts = vec![[[1.0_f64; 2]; 7]; train[0].features.len()];
    for row in train {
        for (counts, x) in counts.iter_mut().zip(&row.features) {
            counts[place(*x)][usize::from(row.exposed)] += 1.0;
        }
    }
    let total = |kind: usize| counts[0].iter().map(|count| count[kind]).sum::<f64>();
    let (no, yes) = (total(0), total(1));
    Box::new(move |row| {
        let each = counts.iter().zip(&row.features);
        each.map(|(counts, x)| {
            let [n, y] = counts[place(*x)];
            ((y / yes) / (n / no)).ln()
        })
        .sum()
    })
}

/// The share of exposed phones among the 25 that are most alike.
fn neighbours(train: &[&Row]) -> Score {
    let known: Vec<(Vec<f64>, bool)> = train
        .iter()
        .map(|row| (row.features.clone(), row.exposed))
        .collect();
    Box::new(move |row| {
        let distance = |(features, exposed): &(Vec<f64>, bool)| {
            let square = features
                .iter()
                .zip(&row.features)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f64>();
            (square, *exposed)
        };
        let mut near: Vec<(f64, bool)> = known.iter().map(distance).collect();
        near.select_nth_unstable_by(25, |a, b| a.0.total_cmp(&b.0));
        number(near[..25].iter().filter(|(_, exposed)| *exposed).count())
    })
}

/// The probability that a random exposed phone scores above a random other one, and its standard
/// deviation where scores say nothing (Mann and Whitney).
fn auc(scored: impl Iterator<Item = (f64, bool)>) -> (f64, f64) {
    let mut scored: Vec<(f64, bool)> = scored.collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let yes = number(scored.iter().filter(|(_, yes)| *yes).count());
    let no = number(scored.len()) - yes;
    let (mut ranks, mut at) = (0.0, 0.0);
    for equal in scored.chunk_by(|a, b| a.0 == b.0) {
        let middle = at + (number(equal.len()) + 1.0) / 2.0;
        ranks += middle * number(equal.iter().filter(|(_, yes)| *yes).count());
        at += number(equal.len());
    }
    let auc = (ranks - yes * (yes + 1.0) / 2.0) / (yes * no);
    (auc, ((yes + no + 1.0) / (12.0 * yes * no)).sqrt())
}

fn number(count: usize) -> f64 {
    number_of(u64::try_from(count).unwrap())
}

fn number_of(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
