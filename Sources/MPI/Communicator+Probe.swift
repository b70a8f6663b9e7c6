internal import CMPI

/// A message that has not been received yet.
public struct Message: Equatable, Sendable {
  public let source: Int
  public let tag: Int
  /// Length in elements of the type passed to `probe`. A message of more than 2³¹ − 1 elements has several parts; this
  /// is the length of the first.
  public let count: Int
}

extension Communicator {
  /// Waits for a message and describes it, without receiving it.
  ///
  /// - Parameters:
  ///   - source: the sender; nil for any.
  ///   - tag: the tag of the message; nil for any.
  public func probe<Element: Transferable>(
    _: Element.Type, from source: Int?, tag: Int?
  ) throws(MPIError) -> Message {
    var status = MPI_Status()
    let (source, tag) = wildcards(source, tag)
    try check(MPI_Probe(source, tag, handle, &status), "MPI_Probe")
    return try message(&status, Element.self)
  }

  /// Describes the next message, without receiving it; nil if none has arrived yet.
  public func iProbe<Element: Transferable>(
    _: Element.Type, from source: Int?, tag: Int?
  ) throws(MPIError) -> Message? {
    var status = MPI_Status()
    var arrived: Int32 = 0
    let (source, tag) = wildcards(source, tag)
    try check(MPI_Iprobe(source, tag, handle, &arrived, &status), "MPI_Iprobe")
    return arrived == 0 ? nil : try message(&status, Element.self)
  }

  private func wildcards(_ source: Int?, _ tag: Int?) -> (source: Int32, tag: Int32) {
    if let source { requireRank(source, "source") }
    if let tag { requireTag(tag) }
    return (source.map(Int32.init) ?? cmpi_any_source(), tag.map(Int32.init) ?? cmpi_any_tag())
  }

  private func message<Element: Transferable>(
    _ status: inout MPI_Status, _: Element.Type
  ) throws(MPIError) -> Message {
    var count: Int32 = 0
    try check(MPI_Get_count(&status, Element.datatype, &count), "MPI_Get_count")
    return Message(source: Int(status.MPI_SOURCE), tag: Int(status.MPI_TAG), count: Int(count))
  }
}
