import Synchronization
import Tensors

/// Draws the prompts of a source by their measured pass rates, so that prompts that teach nothing are rarely drawn.
///
/// The sampler goes through the source's order, visit by visit. It draws a prompt that has never been measured; a prompt
/// of pass rate p with probability m + (1 − m) · 4p(1 − p), where m is `minimum`; and skips it otherwise. The random
/// number of a visit is Philox's (stream 10), so the draws depend only on the seed and on the measurements, which all
/// ranks know. p is the mean of the last measurement and the value before.
///
/// The variance of the outcome, p(1 − p), as the value of a prompt: Foster and Foerster, Learning to reason at the
/// frontier of learnability (2025, arXiv:2502.12272).
public final class DifficultySampler: PromptSource {
  /// What the next draws depend on, and the last rollout's draws.
  public struct State: Equatable, Sendable {
    /// The visits of the last rollout are those from `first` to below `next`.
    public var first = 0
    public var next = 0
    /// Pass rates by the digest of the prompt.
    public var rates: [UInt64: Double] = [:]
    /// The visit of each number that the last rollout drew; its other visits were skipped.
    public var drawn: [Int: Int] = [:]

    public init() {}
  }

  /// The maximum visits that are skipped for one draw.
  private static let maximumSkips = 1_000

  public let base: any PromptSource
  private let seed: UInt64
  private let minimum: Double
  /// The number of the source, so that sources do not share random numbers.
  private let number: UInt32
  private let current = Mutex(State())

  /// - Parameters:
  ///   - number: the position of the source among those of the run.
  ///   - minimum: m, above 0 and at most 1.
  public init(_ base: any PromptSource, number: Int, seed: UInt64, minimum: Double) {
    precondition(minimum > 0 && minimum <= 1, "a minimum probability of \(minimum)")
    self.base = base
    self.number = UInt32(number)
    self.seed = seed
    self.minimum = minimum
  }

  public var name: String { base.name }
  public var heldOutCount: Int? { base.heldOutCount }

  public func heldOut(count: Int) throws(TaskError) -> [Prompt] { try base.heldOut(count: count) }

  /// The prompt drawn for a number. Numbers that were not drawn have the prompt of the visit of that number.
  public func prompt(index: Int, split: Split) throws(TaskError) -> Prompt {
    guard split == .train, let visit = state.drawn[index] else { return try base.prompt(index: index, split: split) }
    var prompt = try base.prompt(index: visit, split: split)
    prompt.id = Int64(index)
    return prompt
  }

  public var state: State {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }

  /// The probability of drawing a prompt of this pass rate.
  func probability(_ rate: Double?) -> Double {
    guard let rate else { return 1 }
    return minimum + (1 - minimum) * 4 * rate * (1 - rate)
  }

  /// Begins a rollout: forgets which visits the last one drew.
  public func beginRollout() {
    current.withLock { state in
      state.first = state.next
      state.drawn = [:]
    }
  }

  /// Draws a prompt for each number.
  public func draw(_ numbers: [Int]) throws(TaskError) {
    var state = state
    for number in numbers {
      var skips = 0
      while skips < Self.maximumSkips, try !isDrawn(visit: state.next, state.rates) {
        state.next += 1
        skips += 1
      }
      state.drawn[number] = state.next
      state.next += 1
    }
    self.state = state
  }

  private func isDrawn(visit: Int, _ rates: [UInt64: Double]) throws(TaskError) -> Bool {
    let probability = probability(rates[try base.prompt(index: visit, split: .train).digest])
    if probability >= 1 { return true }
    let word = Philox(seed: seed).words(
      stream: .difficultySampling, sequence: UInt64(visit), position: number, count: 1)[0]
    return Double(Philox.uniform(word)) < probability
  }

  /// Records the measured pass rate of a number's prompt.
  public func record(_ rate: Double, of number: Int) throws(TaskError) {
    guard let visit = state.drawn[number] else { preconditionFailure("number \(number) was not drawn") }
    let digest = try base.prompt(index: visit, split: .train).digest
    current.withLock { state in
      state.rates[digest] = state.rates[digest].map { ($0 + rate) / 2 } ?? rate
    }
  }
}
