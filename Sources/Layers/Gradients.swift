import Parameters
import Tensors

/// Where a backward pass adds its gradients, and how its products are taken.
public struct Gradients: Sendable {
  public let store: ParameterStore
  /// Whether gradient products take their operands rounded to bfloat16 (`use_mixed_precision`); sums stay fp32.
  public let mixedPrecision: Bool
  /// Where products of stacks are added instead of to `store`, which need not hold those then; nil: `store` has all.
  let sums: UnitSums?
  /// Where weight-gradient products of stacks wait until all layers have added their rows; nil: none waits.
  let ledger: GradientLedger?
  private let observer: (any GradientObserver)?

  /// - Parameter sums: with mixed precision only, whose products of stacks wait for the end of a `unit`.
  public init(_ store: ParameterStore, mixedPrecision: Bool, sums: UnitSums? = nil) {
    precondition(sums == nil || mixedPrecision, "products of stacks are taken at once in fp32")
    self.init(store, mixedPrecision: mixedPrecision, sums: sums, ledger: nil, observer: nil)
  }

  private init(
    _ store: ParameterStore, mixedPrecision: Bool, sums: UnitSums?, ledger: GradientLedger?,
    observer: (any GradientObserver)?
  ) {
    self.store = store
    self.mixedPrecision = mixedPrecision
    self.sums = sums
    self.ledger = ledger
    self.observer = observer
  }

  /// The same, for the last backward pass of a step: `observer` hears which gradients are final.
  public func last(_ observer: any GradientObserver) -> Gradients {
    Gradients(store, mixedPrecision: mixedPrecision, sums: sums, ledger: ledger, observer: observer)
  }

  /// Says that the pass under way adds nothing to these gradients any more.
  public func finish(_ ids: [ParameterID]) {
    guard let observer else { return }
    for id in ids { observer.isFinal(id) }
    observer.pause()
  }

  /// The first tensor, since the last call, whose products could not be added to fixed-point sums.
  public func takeFailure() -> ParameterID? { sums?.takeFailure() }

  func pointer(_ id: ParameterID) -> UnsafeMutablePointer<Float> {
    precondition(sums == nil || !UnitSums.takes(store.table[id]), "\(store.table[id].name) has no fp32 gradient")
    return store.pointer(id)
  }

  /// Runs `body` with gradients whose stacks (experts, micro agents) take one weight-gradient product per matrix, over
  /// the rows of all calls, when `body` returns. In fp32 every call takes its own product at once.
  ///
  /// Not for the rows of two units: products never mix them.
  public func unit<Result>(_ context: Context, _ body: (Gradients) -> Result) -> Result {
    guard mixedPrecision else {
      defer { finish(store.held) }
      return body(self)
    }
    return context.deferred.scoped {
      let ledger = GradientLedger(store, sums: sums, arena: context.deferred)
      let result = body(Gradients(store, mixedPrecision: true, sums: sums, ledger: ledger, observer: observer))
      if let observer { for id in store.held where !ledger.takes(id) { observer.isFinal(id) } }
      ledger.close(context, observer)
      return result
    }
  }
}
