import Parameters

/// Is told, in the last backward pass of a step, which gradients are final, so that their sums over ranks can begin.
public protocol GradientObserver: AnyObject, Sendable {
  /// This pass adds nothing to the gradient of `id` any more. Called by any thread, for some tensors more than once.
  func isFinal(_ id: ParameterID)

  /// A chance to do something else for a moment, about every millisecond while long products are taken. Called by the
  /// pass's thread only.
  func pause()
}
