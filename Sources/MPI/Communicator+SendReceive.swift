internal import CMPI

extension Communicator {
  /// Sends `values` to rank `destination`, which receives them with the same tag. Returns when the caller may change
  /// them.
  public func send<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, to destination: Int, tag: Int
  ) throws(MPIError) {
    requireRank(destination, "destination")
    requireTag(tag)
    for part in messageParts(of: values.count) {
      let code = MPI_Send(
        values.address(part.lowerBound), Int32(part.count), Element.datatype, Int32(destination), Int32(tag), handle)
      try check(code, "MPI_Send")
    }
  }

  public func send<Element: Transferable>(_ values: [Element], to destination: Int, tag: Int) throws(MPIError) {
    try values.withUnsafe { (buffer) throws(MPIError) in try send(buffer, to: destination, tag: tag) }
  }

  /// Receives a message of exactly the length of `buffer`. Use `probe` if the length is not known.
  ///
  /// - Parameter source: the sender; nil for any.
  /// - Returns: the sender.
  /// - Throws: `.truncated` if the message is longer, `.shorterMessage` if it is shorter.
  @discardableResult
  public func receive<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, from source: Int?, tag: Int
  ) throws(MPIError) -> Int {
    if let source { requireRank(source, "source") }
    requireTag(tag)
    var sender = source.map(Int32.init) ?? cmpi_any_source()
    for part in messageParts(of: buffer.count) {
      var status = MPI_Status()
      let code = MPI_Recv(
        buffer.address(part.lowerBound), Int32(part.count), Element.datatype, sender, Int32(tag), handle, &status)
      try check(code, "MPI_Recv")
      try requireLength(part.count, of: &status, Element.transferType, "MPI_Recv")
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
    for part in messageParts(of: elements.count) {
      let address = elements.address(part.lowerBound)
      try request.start {
        MPI_Isend(address, Int32(part.count), Element.datatype, Int32(destination), Int32(tag), handle, $0)
      }
    }
    return request
  }

  /// Starts receiving a message from rank `source` of exactly the length of `buffer`.
  public func iReceive<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>, from source: Int, tag: Int
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    requireRank(source, "source")
    requireTag(tag)
    let elements = buffer.elements
    var request = Request(self, call: "MPI_Irecv", payload: buffer)
    for part in messageParts(of: elements.count) {
      let address = elements.address(part.lowerBound)
      try request.start(expecting: (part.count, Element.transferType)) {
        MPI_Irecv(address, Int32(part.count), Element.datatype, Int32(source), Int32(tag), handle, $0)
      }
    }
    return request
  }
}

/// Throws if a received message does not have `expected` elements.
func requireLength(
  _ expected: Int, of status: inout MPI_Status, _ type: TransferType, _ call: StaticString
) throws(MPIError) {
  var count: Int32 = 0
  try check(MPI_Get_count(&status, type.handle, &count), "MPI_Get_count")
  guard Int(count) != expected else { return }
  let length = count == cmpi_undefined() ? "a length that is not a multiple of the element size" : "\(count) elements"
  throw MPIError(
    call: "\(call)", kind: .shorterMessage,
    text:
      "the message from rank \(status.MPI_SOURCE) with tag \(status.MPI_TAG) has \(length), expected \(expected) elements",
    remedy: "send and receive the same number of elements, or get the length by probe")
}
