import Parameters
import Tensors

/// The destination of a backward pass's gradients, and the precision of its products.
public struct Gradients: Sendable {
  public let store: ParameterStore
  /// Whether gradient products take their operands rounded to bfloat16 (`use_mixed_precision`); sums stay fp32.
  public let mixedPrecision: Bool
  /// Destination of the products of stacks; nil means `store`. If it is set, `store` need not hold stacks.
  let sums: UnitSums?
  /// Defers the weight-gradient products of stacks until all layers have contributed rows; nil means that no product is
  /// deferred.
  let ledger: GradientLedger?
  private let observer: (any GradientObserver)?

  /// - Parameter sums: only with mixed precision, whose products of stacks are deferred to the end of a `unit`.
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

  /// The same destination, for the last backward pass of a step: `observer` is told which gradients are final.
  public func last(_ observer: any GradientObserver) -> Gradients {
    Gradients(store, mixedPrecision: mixedPrecision, sums: sums, ledger: ledger, observer: observer)
  }

  /// Declares that the current pass will not add to these gradients again.
  public func finish(_ ids: [ParameterID]) {
    guard let observer else { return }
    for id in ids { observer.isFinal(id) }
    observer.progress()
  }

  /// Returns the first tensor, since the last call, whose products could not be added to fixed-point sums.
  public func takeFailure() -> ParameterID? { sums?.takeFailure() }

  /// A tensor's fp32 gradient, as rows of the length of its last extent.
  func rows(_ id: ParameterID) -> Matrix {
    precondition(sums == nil || !UnitSums.takes(store.table[id]), "\(store.table[id].name) has no fp32 gradient")
    return store.rows(id)
  }

  /// Runs `body` with gradients that defer the weight-gradient products of stacks (experts, micro agents): one product
  /// per matrix over the rows of all calls, taken when `body` returns. In fp32 every call takes its product
  /// immediately.
  ///
  /// Never pass rows of two units to one call: a product must not mix them.
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
