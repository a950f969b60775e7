//! Test data.

/// Pseudo-random numbers without a dependency: a linear congruential generator is random enough for test data.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
    pub fn list(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// Clusters of very unequal sizes, so that rows run over several chunks of a merge.
pub fn rows_of(kind: &str, batch: usize, tokens: usize, rows: usize, random: &mut Random) -> (Vec<i32>, Vec<f32>) {
    let mut index: Vec<i32> = Vec::new();
    for _ in 0..batch {
        let mut image: Vec<i32> = (0..tokens)
            .map(|t| match kind {
                _ if t < rows => t as i32,
                "one big" => (rows / 2) as i32,
                "three big" => ((t % 3) * (rows - 1) / 2) as i32,
                _ => ((random.next() * 0.5 + 0.5) * rows as f32) as i32 % rows as i32,
            })
            .collect();
        for t in (1..tokens).rev() {
            image.swap(t, ((random.next() * 0.5 + 0.5) * t as f32) as usize);
        }
        index.extend(image);
    }
    let mut size = vec![0.0; batch * rows];
    for (t, &row) in index.iter().enumerate() {
        size[t / tokens * rows + row as usize] += 1.0;
    }
    (index, size)
}
