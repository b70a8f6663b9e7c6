import Layers
import Models
import Parameters
import Tensors

/// The tokens of several sequences that go through the model together: one token of a sequence that is decoded, many of
/// a prompt.
struct DecodingPass {
  /// Whose tokens they are.
  enum Owner {
    /// The index of a sequence of the batch, or of a waiting request.
    case living(Int)
    case waiting(Int)
  }

  /// What a pass leaves for one sequence, valid until the arena's scope ends.
  struct Result {
    let owner: Owner
    /// Number of tokens read.
    let count: Int
    /// Their latents; empty without diffusion.
    let latents: [UInt8]
    /// h at the last of them.
    let hidden: Vector
  }

  private let model: QuillanModel
  private let seed: UInt64
  private var owners: [Owner] = []
  private var tokens: [Int32] = []
  private var spans: [Span] = []
  private var caches: [KeyValueCache] = []
  private var identities: [ReasoningDiffusion.Identity] = []

  init(_ model: QuillanModel, seed: UInt64) {
    self.model = model
    self.seed = seed
  }

  /// Adds consecutive tokens, numbered by position.
  ///
  /// - Parameter sequence: the id that keys their latents.
  mutating func add(_ part: ArraySlice<Int32>, of owner: Owner, sequence: UInt64, cache: KeyValueCache) {
    owners.append(owner)
    spans.append(Span(first: tokens.count, count: part.count, position: part.startIndex))
    tokens += part
    caches.append(cache)
    for position in part.indices {
      identities.append(ReasoningDiffusion.Identity(sequence: sequence, position: UInt32(position)))
    }
  }

  /// Draws latents and runs the layers, which add to the caches.
  func run(_ weights: PackedModel, _ context: Context) -> [Result] {
    guard !tokens.isEmpty else { return [] }
    let (prefix, latents) = begin(weights, context)
    let pass = model.trunk(prefix, latents: latents, caches: caches, retention: .nothing, weights, context)
    return zip(owners, spans).map { owner, span in
      Result(
        owner: owner, count: span.count, latents: bytes(latents, span),
        hidden: pass.hidden[span.first + span.count - 1])
    }
  }

  /// Draws the latents of each sequence's tokens, without the layers.
  func latents(_ weights: PackedModel, _ context: Context) -> [[UInt8]] {
    guard model.diffusion != nil else { return spans.map { _ in [] } }
    let (_, latents) = begin(weights, context)
    return spans.map { bytes(latents, $0) }
  }

  private func begin(_ weights: PackedModel, _ context: Context) -> (PrefixPass, ArrayView<UInt8>?) {
    let prefix = model.prefix(TokenBatch(tokens: tokens, spans: spans, in: context.arena), weights, context)
    guard let diffusion = model.diffusion else { return (prefix, nil) }
    let bits = context.arena.view(UInt8.self, tokens.count * model.latentBytes)
    diffusion.sample(prefix.xContext, identities: identities, seed: seed, weights, into: bits, context)
    return (prefix, bits)
  }

  private func bytes(_ latents: ArrayView<UInt8>?, _ span: Span) -> [UInt8] {
    latents.map { Array($0.part(span.first * model.latentBytes..<(span.first + span.count) * model.latentBytes)) } ?? []
  }
}
