import Foundation

/// The noise schedule of the bit diffusion and its reverse step, in float64.
///
/// With N steps: f(n) = cos²((n/N + 0.008)/1.008 · π/2), β_n = clip(1 − f(n)/f(n−1), 0.0001, 0.9999),
/// ᾱ_n = Π_{k≤n}(1 − β_k), ᾱ_0 = 1. At level n a clean bit is flipped with probability (1 − ᾱ_n)/2.
/// Sampling visits n_k = N − floor(k·N/S + ½), k = 0…S−1, and ends at 0.
///
/// Source: Nichol and Dhariwal, "Improved denoising diffusion probabilistic models" (2021), equation 17, for the
/// cosine; Austin et al., "Structured denoising diffusion models in discrete state-spaces" (2021) for uniform bit
/// flips and their posterior.
public struct DiffusionSchedule: Sendable, Equatable {
  /// N.
  public let steps: Int
  /// S.
  public let inferenceSteps: Int
  /// ᾱ_0 … ᾱ_N.
  public let alphaBar: [Double]
  /// n_0 = N, …, n_{S−1}, 0: S + 1 levels, strictly falling.
  public let visited: [Int]

  /// - Precondition: 1 ≤ S ≤ N.
  public init(steps: Int, inferenceSteps: Int) {
    precondition(
      1 <= inferenceSteps && inferenceSteps <= steps,
      "inference steps must lie in 1…\(steps) (diffusion steps), got \(inferenceSteps)")
    self.steps = steps
    self.inferenceSteps = inferenceSteps
    func f(_ n: Int) -> Double {
      let cosine = cos((Double(n) / Double(steps) + 0.008) / 1.008 * Double.pi / 2)
      return cosine * cosine
    }
    var alphaBar = [1.0]
    for n in 1...steps {
      let beta = min(max(1 - f(n) / f(n - 1), 0.0001), 0.9999)
      alphaBar.append(alphaBar[n - 1] * (1 - beta))
    }
    self.alphaBar = alphaBar
    // floor(k·N/S + ½) = floor((2kN + S)/2S), in integers.
    visited = (0..<inferenceSteps).map { steps - (2 * $0 * steps + inferenceSteps) / (2 * inferenceSteps) } + [0]
  }

  /// The probability (1 − ᾱ_n)/2 that a bit is flipped at level n.
  public func flipProbability(at n: Int) -> Double { (1 - alphaBar[n]) / 2 }

  /// The level 1…N on which a position trains, from the random word of the position: word mod N + 1.
  public func trainingLevel(word: UInt32) -> Int { Int(word % UInt32(steps)) + 1 }

  /// Reverse step k of sampling: from n_k to n_{k+1}.
  public func reverseStep(_ k: Int) -> ReverseStep {
    precondition(0 <= k && k < inferenceSteps, "reverse step \(k) of \(inferenceSteps)")
    return ReverseStep(schedule: self, from: visited[k], to: visited[k + 1])
  }

  /// One step from level n down to n', as a function of the denoiser's p = P(clean bit = 1) and the bit z at n.
  ///
  /// With a = ᾱ_n/ᾱ_n', b = ᾱ_n', s = 2z − 1, L1 = (1 + a s)/2, L0 = (1 − a s)/2, Q_v = (1 + b(2v − 1))/2:
  ///
  ///     P(z' = 1) = p · L1 Q_1/(L1 Q_1 + L0 (1 − Q_1)) + (1 − p) · L1 Q_0/(L1 Q_0 + L0 (1 − Q_0))
  ///
  /// and z' = 1[u < P]. The last step (n' = 0) takes z' = 1[p > ½] without randomness.
  public struct ReverseStep: Sendable, Equatable {
    public let from: Int
    public let to: Int
    /// P(z' = 1 | z, clean bit v) at index 2z + v.
    @usableFromInline let posterior: SIMD4<Double>

    fileprivate init(schedule: DiffusionSchedule, from n: Int, to next: Int) {
      from = n
      to = next
      let a = schedule.alphaBar[n] / schedule.alphaBar[next]
      let b = schedule.alphaBar[next]
      var posterior = SIMD4<Double>.zero
      for z in 0...1 {
        for v in 0...1 {
          let s = Double(2 * z - 1)
          let (l1, l0) = ((1 + a * s) / 2, (1 - a * s) / 2)
          let q = (1 + b * Double(2 * v - 1)) / 2
          posterior[2 * z + v] = l1 * q / (l1 * q + l0 * (1 - q))
        }
      }
      self.posterior = posterior
    }

    /// Whether this is the last step, which needs no random number.
    @inlinable
    public var isLast: Bool { to == 0 }

    /// P(z' = 1) for a bit with value `bit` at level n that is clean 1 with probability `p`.
    @inlinable
    public func probabilityOfOne(bit: Bool, cleanProbability p: Double) -> Double {
      bit ? p * posterior[3] + (1 - p) * posterior[2] : p * posterior[1] + (1 - p) * posterior[0]
    }

    /// z' = 1[u < P(z' = 1)], for every step but the last.
    @inlinable
    public func nextBit(bit: Bool, cleanProbability p: Double, uniform u: Double) -> Bool {
      u < probabilityOfOne(bit: bit, cleanProbability: p)
    }
  }
}
