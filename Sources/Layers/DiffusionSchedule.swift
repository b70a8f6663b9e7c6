import Foundation

/// Noise levels of the reasoning diffusion.
public struct DiffusionSchedule: Sendable {
  public let steps: Int
  public let alphaBar: [Double]
  public let visitedSteps: [Int]

  public init(steps: Int, inferenceSteps: Int) {
    self.steps = steps
    func f(_ n: Int) -> Double {
      let c = cos((Double(n) / Double(steps) + 0.008) / 1.008 * .pi / 2)
      return c * c
    }
    var alpha = [1.0]
    for n in 1...steps {
      let beta = min(max(1 - f(n) / f(n - 1), 0.0001), 0.9999)
      alpha.append(alpha[n - 1] * (1 - beta))
    }
    alphaBar = alpha
    visitedSteps = (0..<inferenceSteps).map { steps - Int((Double($0 * steps) / Double(inferenceSteps) + 0.5).rounded(.down)) }
  }
}
