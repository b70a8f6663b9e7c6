import Foundation

/// Linear warm-up, then a cosine decay from the peak to a tenth of the peak.
///
/// At step s from 0, with W = warmupSteps and N = totalSteps (`num_epochs`, which counts optimizer steps):
///
///     s < W:  peak · (s + 1)/W
///     else:   peak · (0.1 + 0.45 (1 + cos(π (s − W)/(N − W))))
///
/// From step N on (if a run is resumed beyond its plan) the rate stays at peak/10.
public struct LearningRateSchedule: Sendable, Equatable {
  public let peak: Double
  public let warmupSteps: Int
  public let totalSteps: Int

  public init(peak: Double, warmupSteps: Int, totalSteps: Int) {
    precondition(warmupSteps >= 0 && totalSteps >= 0, "\(warmupSteps) warm-up steps of \(totalSteps)")
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  public func learningRate(at step: Int) -> Double {
    precondition(step >= 0, "steps count from 0, got \(step)")
    if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
    guard step < totalSteps else { return 0.1 * peak }
    let progress = Double(step - warmupSteps) / Double(totalSteps - warmupSteps)
    return peak * (0.1 + 0.45 * (1 + cos(Double.pi * progress)))
  }
}
