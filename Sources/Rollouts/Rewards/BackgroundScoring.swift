import Foundation
import Synchronization

/// Scores completions on a thread of its own while others are still sampled.
///
/// Completions are scored in the order of `add`. What was added during a call of the rewards is scored together by the
/// next call, so that a pool of reward programs stays busy.
public final class BackgroundScoring: @unchecked Sendable {
  private let rewards: WeightedRewards
  private let condition = NSCondition()
  private var waiting: [RewardItem] = []
  private var outcomes: [WeightedRewards.Outcome] = []
  private var failure: RewardError?
  private var isRunning = false
  private var added = 0
  private var seconds = 0.0
  private let failed = Atomic<Bool>(false)

  public init(_ rewards: WeightedRewards) { self.rewards = rewards }

  /// Whether scoring has failed, so that further samples are useless.
  public var hasFailed: Bool { failed.load(ordering: .relaxed) }

  /// Begins to score completions. Returns where `finish` gives their outcomes.
  public func add(_ items: [RewardItem]) -> Range<Int> {
    condition.lock()
    defer { condition.unlock() }
    waiting += items
    defer { added += items.count }
    if !isRunning && failure == nil && !items.isEmpty {
      isRunning = true
      ScoringThread.shared.run { self.score() }
    }
    return added..<added + items.count
  }

  /// All outcomes in the order of the completions, the seconds that scoring took, and the seconds of this call.
  ///
  /// - Throws: `RewardError` as `WeightedRewards.outcomes` does.
  public func finish() throws(RewardError) -> (
    outcomes: [WeightedRewards.Outcome], seconds: Double, waitSeconds: Double
  ) {
    let start = ContinuousClock.now
    condition.lock()
    defer { condition.unlock() }
    while isRunning { condition.wait() }
    if let failure { throw failure }
    return (outcomes, seconds, (ContinuousClock.now - start) / .seconds(1))
  }

  /// Forgets completions that are not being scored yet.
  public func abandon() {
    condition.lock()
    defer { condition.unlock() }
    waiting = []
  }

  private func score() {
    while let items = next() {
      let start = ContinuousClock.now
      let result: Result<[WeightedRewards.Outcome], RewardError>
      do throws(RewardError) {
        result = .success(try rewards.outcomes(items))
      } catch {
        result = .failure(error)
      }
      condition.lock()
      seconds += (ContinuousClock.now - start) / .seconds(1)
      switch result {
      case .success(let scored): outcomes += scored
      case .failure(let error):
        failure = error
        failed.store(true, ordering: .relaxed)
      }
      condition.unlock()
    }
  }

  /// The completions to score next; nil ends the job.
  private func next() -> [RewardItem]? {
    condition.lock()
    defer { condition.unlock() }
    guard !waiting.isEmpty, failure == nil else {
      isRunning = false
      condition.broadcast()
      return nil
    }
    defer { waiting = [] }
    return waiting
  }
}
