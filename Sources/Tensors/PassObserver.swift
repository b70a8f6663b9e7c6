/// Observes passes through the model that keep values for the backward pass. The flight recorder's phases, traces and
/// the checks of debug mode are observers. Called by the thread that runs the pass.
public protocol PassObserver: AnyObject, Sendable {
  func begins(_ part: PassPart)
  /// The part that began last has ended.
  func ends()
  /// A part has computed `values`; if there are as many rows as tokens in the batch, row i belongs to token i.
  func produced(_ values: Matrix, _ what: StaticString, in part: PassPart)
}

/// A part of a pass: a layer, or the computation before or after the layers.
public struct PassPart: Sendable, Equatable {
  public enum Kind: Sendable { case embedding, latents, layer, head, diffusionLoss }

  public let kind: Kind
  /// The index of the layer.
  public let layer: Int?
  public let isBackward: Bool

  public init(_ kind: Kind, layer: Int? = nil, isBackward: Bool = false) {
    self.kind = kind
    self.layer = layer
    self.isBackward = isBackward
  }

  public static func layer(_ index: Int, isBackward: Bool = false) -> PassPart {
    PassPart(.layer, layer: index, isBackward: isBackward)
  }
}

extension Context {
  /// Runs `body` as a part that is reported to the observer.
  public func part<Result>(_ part: PassPart, _ body: () -> Result) -> Result {
    guard let observer else { return body() }
    observer.begins(part)
    defer { observer.ends() }
    return body()
  }
}
