import Parameters
import Tensors

/// What the backward pass of one component needs besides its gradients: the packed weights, the destination of the
/// parameters' gradients, and threads and memory.
public struct BackwardLane: Sendable {
  public let weights: PackedModel
  public let gradients: Gradients
  public let lane: Lane

  public init(_ weights: PackedModel, _ gradients: Gradients, _ lane: Lane) {
    self.weights = weights
    self.gradients = gradients
    self.lane = lane
  }

  /// For parts of the forward pass that the backward pass computes again.
  var forward: ForwardLane { ForwardLane(weights, lane) }
  var arena: Arena { lane.arena }
  var scratch: Arena { lane.scratch }
  var pool: WorkerPool { lane.pool }
}

/// What all layers of a backward pass share.
public struct BackwardPassContext: Sendable {
  public let council: Council
  /// The sequences of the batch.
  public let spans: ArenaList<Span>
  public let weights: PackedModel
  public let gradients: Gradients
  /// The exchange of the forward pass.
  public let exchange: CouncilExchange?
  public let context: Context

  public init(
    council: Council, spans: ArenaList<Span>, weights: PackedModel, gradients: Gradients,
    exchange: CouncilExchange? = nil, context: Context
  ) {
    self.council = council
    self.spans = spans
    self.weights = weights
    self.gradients = gradients
    self.exchange = exchange
    self.context = context
  }

  /// For code outside parallel loops.
  public var main: BackwardLane { BackwardLane(weights, gradients, context.main) }

  /// For one worker inside a parallel loop, with gradients of its own or those of the pass.
  func lane(_ worker: Int, _ own: Gradients?) -> BackwardLane {
    BackwardLane(weights, own ?? gradients, context.lane(worker))
  }
}
