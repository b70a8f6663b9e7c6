/// The two buffers of an exchange. A request takes and returns both:
///
///     let pair = try request.wait()
///     let received = pair.received
///     let sent = pair.sent
@frozen
public struct TransferPair<Element: Transferable>: ~Copyable, Sendable {
  public var sent: TransferBuffer<Element>
  public var received: TransferBuffer<Element>

  public init(sent: consuming TransferBuffer<Element>, received: consuming TransferBuffer<Element>) {
    self.sent = sent
    self.received = received
  }
}
