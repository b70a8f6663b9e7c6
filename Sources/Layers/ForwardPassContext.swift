import Parameters
import Tensors

/// What the forward pass of one component needs besides its input: the packed weights, and threads and memory.
public struct ForwardLane: Sendable {
  public let weights: PackedModel
  public let lane: Lane

  public init(_ weights: PackedModel, _ lane: Lane) {
    self.weights = weights
    self.lane = lane
  }

  var arena: Arena { lane.arena }
  var scratch: Arena { lane.scratch }
  var pool: WorkerPool { lane.pool }
}

/// What all layers of a forward pass share.
public struct ForwardPassContext: Sendable {
  public let council: Council
  /// The sequences of the batch.
  public let spans: ArenaList<Span>
  /// If not nil, span i continues the sequence of cache i.
  public let caches: [KeyValueCache]?
  public let weights: PackedModel
  /// Receives L_aux and the routing loads; nil counts nothing and gives no gradient of L_aux.
  public let report: BalanceReport?
  /// If not nil, mini-MoEs are on several ranks, and all ranks of the expert group run the same pass.
  public let exchange: CouncilExchange?
  public let context: Context

  public init(
    council: Council, spans: ArenaList<Span>, caches: [KeyValueCache]? = nil, weights: PackedModel,
    report: BalanceReport?, exchange: CouncilExchange? = nil, context: Context
  ) {
    self.council = council
    self.spans = spans
    self.caches = caches
    self.weights = weights
    self.report = report
    self.exchange = exchange
    self.context = context
  }

  /// For code outside parallel loops.
  public var main: ForwardLane { ForwardLane(weights, context.main) }

  /// For one worker inside a parallel loop.
  func lane(_ worker: Int) -> ForwardLane { ForwardLane(weights, context.lane(worker)) }
}
