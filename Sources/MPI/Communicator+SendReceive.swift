internal import CMPI

extension Communicator {
  /// Sends `values` to rank `destination`, which receives them under the same tag. Returns when they may be changed.
  public func send<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, to destination: Int, tag: Int
  ) throws(MPIError) {
    requireRank(destination, "destination")
    requireTag(tag)
    for piece in messagePieces(of: values.count) {
      let code = MPI_Send(
        values.address(piece.lowerBound), Int32(piece.count), Element.datatype, Int32(destination), Int32(tag), handle)
      try check(code, "MPI_Send")
    }
  }

  public func send<Element: Transferable>(_ values: [Element], to destination: Int, tag: Int) throws(MPIError) {
    try values.withUnsafe { (buffer) throws(MPIError) in try send(buffer, to: destination, tag: tag) }
  }

  /// Receives a message that is exactly as long as `buffer`; `probe` tells the length of one that is not known.
  ///
  /// - Parameter source: the sender; nil for whichever message comes first.
  /// - Returns: the sender.
  /// - Throws: where the message is longer (`.truncated`) or shorter (`.shorterMessage`).
  @discardableResult
  public func receive<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, from source: Int?, tag: Int
  ) throws(MPIError) -> Int {
    if let source { requireRank(source, "source") }
    requireTag(tag)
    var sender = source.map(Int32.init) ?? cmpi_any_source()
    for piece in messagePieces(of: buffer.count) {
      var status = MPI_Status()
      let code = MPI_Recv(
        buffer.address(piece.lowerBound), Int32(piece.count), Element.datatype, sender, Int32(tag), handle, &status)
      try check(code, "MPI_Recv")
      try requireLength(piece.count, of: &status, Element.transferType, "MPI_Recv")
      sender = status.MPI_SOURCE
    }
    return Int(sender)
  }

  /// Receives a message of `count` elements.
  public func receive<Element: Transferable>(
    _: Element.Type, count: Int, from source: Int?, tag: Int
  ) throws(MPIError) -> [Element] {
    var result = [Element](repeating: .zero, count: count)
    try result.withUnsafeMutable { (buffer) throws(MPIError) in _ = try receive(buffer, from: source, tag: tag) }
    return result
  }

  /// Starts sending `buffer` to rank `destination`.
  public func iSend<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>, to destination: Int, tag: Int
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    requireRank(destination, "destination")
    requireTag(tag)
    let elements = buffer.elements
    var request = Request(self, call: "MPI_Isend", payload: buffer)
    for piece in messagePieces(of: elements.count) {
      let address = elements.address(piece.lowerBound)
      try request.start {
        MPI_Isend(address, Int32(piece.count), Element.datatype, Int32(destination), Int32(tag), handle, $0)
      }
    }
    return request
  }

  /// Starts receiving a message from rank `source` that is exactly as long as `buffer`.
  public func iReceive<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>, from source: Int, tag: Int
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    requireRank(source, "source")
    requireTag(tag)
    let elements = buffer.elements
    var request = Request(self, call: "MPI_Irecv", payload: buffer)
    for piece in messagePieces(of: elements.count) {
      let address = elements.address(piece.lowerBound)
      try request.start(expecting: (piece.count, Element.transferType)) {
        MPI_Irecv(address, Int32(piece.count), Element.datatype, Int32(source), Int32(tag), handle, $0)
      }
    }
    return request
  }
}

/// Throws where a message received is not `expected` elements long.
func requireLength(
  _ expected: Int, of status: inout MPI_Status, _ type: TransferType, _ call: StaticString
) throws(MPIError) {
  var count: Int32 = 0
  try check(MPI_Get_count(&status, type.handle, &count), "MPI_Get_count")
  guard Int(count) != expected else { return }
  let length = count == cmpi_undefined() ? "no whole number of elements" : "\(count) elements"
  throw MPIError(
    call: "\(call)", kind: .shorterMessage,
    text: "the message from rank \(status.MPI_SOURCE) with tag \(status.MPI_TAG) has \(length), not \(expected)",
    remedy: "send as many elements as are received, or ask for the length by probe")
}
