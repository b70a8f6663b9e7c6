/// Watches passes through the model that keep something for backward: what the flight recorder's phases, traces and debug
/// mode's checks are made of. Called by the thread that runs the pass.
public protocol PassObserver: AnyObject, Sendable {
  func begins(_ part: PassPart)
  /// Ends the part that began last.
  func ends()
  /// A part has computed `values`, for the batch's tokens one row each where there are as many rows.
  func produced(_ values: Matrix, _ what: StaticString, in part: PassPart)
}

/// A part of a pass: a layer, or what comes before and after the layers.
public struct PassPart: Sendable, Equatable {
  public enum Kind: Sendable { case embedding, latents, layer, head, diffusionLoss }

  public let kind: Kind
  /// Which layer.
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
  /// Runs `body` as a part that the observer sees.
  public func part<Result>(_ part: PassPart, _ body: () -> Result) -> Result {
    guard let observer else { return body() }
    observer.begins(part)
    defer { observer.ends() }
    return body()
  }
}
