/// The two buffers of an exchange, which travel together. Take both out again by
/// `let pair = try request.wait(); let (sent, received) = (pair.sent, pair.received)` one by one, or use them in place.
@frozen
public struct TransferPair<Element: Transferable>: ~Copyable, Sendable {
  public var sent: TransferBuffer<Element>
  public var received: TransferBuffer<Element>

  public init(sent: consuming TransferBuffer<Element>, received: consuming TransferBuffer<Element>) {
    self.sent = sent
    self.received = received
  }
}
