import Parameters
import Tensors

/// Where a backward pass adds its gradients, and how its products are taken.
public struct Gradients: Sendable {
  public let store: ParameterStore
  /// Whether gradient products take their operands rounded to bfloat16 (`use_mixed_precision`); sums stay fp32.
  public let mixedPrecision: Bool
  /// Where weight-gradient products of stacks wait until all layers have added their rows; nil: none waits.
  let ledger: GradientLedger?

  public init(_ store: ParameterStore, mixedPrecision: Bool) {
    self.init(store, mixedPrecision: mixedPrecision, ledger: nil)
  }

  private init(_ store: ParameterStore, mixedPrecision: Bool, ledger: GradientLedger?) {
    self.store = store
    self.mixedPrecision = mixedPrecision
    self.ledger = ledger
  }

  func pointer(_ id: ParameterID) -> UnsafeMutablePointer<Float> { store.pointer(id) }

  /// Runs `body` with gradients whose stacks (experts, micro agents) take one weight-gradient product per matrix, over
  /// the rows of all calls, when `body` returns. In fp32 every call takes its own product at once.
  ///
  /// Not for the rows of two units: products never mix them.
  public func unit<Result>(_ context: Context, _ body: (Gradients) -> Result) -> Result {
    guard mixedPrecision else { return body(self) }
    return context.deferred.scoped {
      let ledger = GradientLedger(store, arena: context.deferred)
      let result = body(Gradients(store, mixedPrecision: true, ledger: ledger))
      ledger.close(context)
      return result
    }
  }
}
