extension Communicator {
  /// All ranks' `records` in rank order, on every rank. Collective; ranks may pass different numbers of records.
  ///
  /// ```swift
  /// struct GroupLoss: RankRecord { var group: UInt64, loss: Double, badTensor: Int? }
  /// let all = try communicator.gather(records: losses)
  /// ```
  ///
  /// If each rank's items are a contiguous range of numbered items, the result is in item order for any number of
  /// ranks.
  ///
  /// - Throws: `MPIError` of kind `record` if a message is not what this rank expects, as from another build.
  public func gather<Record: RankRecord>(
    records: [Record], file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Record] {
    try decodeAll(try allGatherv(try encode(records), file: file, line: line))
  }

  /// As `gather(records:)`, for many records without memory of their own: their bytes travel as they are. All ranks run
  /// the same program.
  ///
  /// - Throws: `MPIError` of kind `record` if a message is not a whole number of records.
  public func gather<Record: BitwiseCopyable & Sendable>(
    bitwise records: [Record], file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Record] {
    let stride = MemoryLayout<Record>.stride
    let own = records.withUnsafeBytes { Array($0) }
    var result: [Record] = []
    for (sender, message) in try allGatherv(own, file: file, line: line).enumerated() {
      guard message.count.isMultiple(of: stride) else {
        throw MPIError(
          record: "\(Record.self)", RecordError("\(message.count) bytes are not records of \(stride) bytes"),
          rank: sender)
      }
      message.withUnsafeBytes { bytes in
        for offset in Swift.stride(from: 0, to: bytes.count, by: stride) {
          result.append(bytes.loadUnaligned(fromByteOffset: offset, as: Record.self))
        }
      }
    }
    return result
  }

  /// As `gather(records:)`, on rank `root` only; nil on the others.
  public func gather<Record: RankRecord>(
    records: [Record], to root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Record]? {
    guard let messages = try gatherv(try encode(records), to: root, file: file, line: line) else { return nil }
    return try decodeAll(messages)
  }

  /// The `record` of rank `root`, on every rank; the records of other ranks are ignored. Collective.
  public func broadcast<Record: RankRecord>(
    record: Record, from root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Record {
    let message = try broadcast(rank == root ? try encode(record) : [], from: root, file: file, line: line)
    return rank == root ? record : try decode(Record.self, message, from: root)
  }

  private func encode<Record: RankRecord>(_ record: Record) throws(MPIError) -> [UInt8] {
    do { return try RecordCodec.encode(record) } catch { throw MPIError(record: "\(Record.self)", error, rank: rank) }
  }

  private func decode<Record: RankRecord>(
    _ type: Record.Type, _ message: [UInt8], from sender: Int
  ) throws(MPIError) -> Record {
    do { return try RecordCodec.decode(type, from: message) } catch {
      throw MPIError(record: "\(type)", error, rank: sender)
    }
  }

  private func decodeAll<Record: RankRecord>(_ messages: [[UInt8]]) throws(MPIError) -> [Record] {
    var records: [Record] = []
    for (sender, message) in messages.enumerated() { records += try decode([Record].self, message, from: sender) }
    return records
  }
}

extension Communicator {
  /// The `text` of rank `root`, on every rank; the texts of other ranks are ignored. Collective.
  public func broadcast(
    _ text: String, from root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> String {
    let utf8 = try broadcast(rank == root ? Array(text.utf8) : [], from: root, file: file, line: line)
    return String(decoding: utf8, as: UTF8.self)
  }

  /// All ranks' `texts` in rank order, on every rank. Collective; ranks may pass different numbers of texts.
  public func gather(
    texts: [String], file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [String] {
    try gather(records: texts, file: file, line: line)
  }

  /// The text of the lowest rank whose text is not empty; nil if all texts are empty. Collective.
  ///
  /// Ranks agree on a problem in this way: each passes a description of its own problem, or an empty text. The result
  /// names the rank (`rank 3: …`), unless that is rank 0.
  public func firstText(
    _ text: String, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> String? {
    let speaker = try allReduce(text.isEmpty ? size : rank, .minimum, file: file, line: line)
    guard speaker < size else { return nil }
    return try broadcast(rank == 0 ? text : "rank \(rank): \(text)", from: speaker, file: file, line: line)
  }
}
