import Exports

extension Manifest {
  /// A manifest's text is at most this long; the 511M model's has about 400 KB.
  public static let largestText = 32 << 20
  static let fileName = "manifest.json"

  /// The manifest's bytes.
  public func text() -> [UInt8] {
    var lines = [
      "\"format\":\"quillan-checkpoint\"", "\"version\":\(Self.version)", "\"program\":\(quoted(program))",
      "\"phase\":\(quoted(phase))", "\"step\":\(step)", "\"ranks\":\(ranks)", "\"expert_parallel\":\(expertParallel)",
      "\"expert_files\":\(expertFiles)",
    ]
    let pairs = counters.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    lines.append("\"counters\":{\(pairs.map { "\(quoted($0.key)):\($0.value)" }.joined(separator: ","))}")
    lines.append("\"configuration\":\(quoted(configuration))")
    let files = files.map { "{\"name\":\(quoted($0.name)),\"bytes\":\($0.byteCount)}" }
    lines.append("\"files\":[\(files.joined(separator: ","))]")
    lines.append("\"tensors\":[\n\(tensors.map(Self.line).joined(separator: ",\n"))\n]")
    let body = Array(",\n\(lines.joined(separator: ",\n"))}\n".utf8)
    return Self.signed(body)
  }

  /// A text whose hash is in order, whatever it says after it.
  package static func signed(_ body: [UInt8]) -> [UInt8] { head(hash: body.withUnsafeBytes(Frame.hash)) + body }

  private static func line(_ tensor: Tensor) -> String {
    let slices = tensor.slices.map { slice in
      "{\"elements\":[\(slice.range.lowerBound),\(slice.range.upperBound)],\"part\":\(slice.part),\"file\":\(slice.file),"
        + "\"offset\":\(slice.offset),\"bytes\":\(slice.bytes),\"encoding\":\"\(slice.encoding.rawValue)\","
        + "\"xxh64\":\"\(hexadecimal(slice.hash))\"}"
    }
    let shape = tensor.shape.map(String.init).joined(separator: ",")
    return "{\"name\":\(quoted(tensor.key.name)),\"kind\":\"\(tensor.key.kind.rawValue)\","
      + "\"type\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],\"slices\":[\(slices.joined(separator: ","))]}"
  }

  /// The first bytes, up to and without the comma after the hash.
  private static func head(hash: UInt64) -> [UInt8] { Array("{\"xxh64\":\"\(hexadecimal(hash))\"".utf8) }

  private static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Reads a manifest's text and proves everything that it can prove by itself (see `validate`).
  ///
  /// Works on hostile bytes: it never recurses, builds nothing larger than a small multiple of the text, and accepts
  /// the members in their one order only.
  ///
  /// - Parameter path: for messages.
  public init(text: [UInt8], path: String) throws(CheckpointError) {
    func damaged(_ code: CheckpointError.Code, _ offset: Int, _ problem: String) -> CheckpointError {
      CheckpointError(code, path: path, offset: offset, problem: problem, remedy: CheckpointError.damaged)
    }
    let head = Self.head(hash: 0).count
    guard text.count > head else {
      throw damaged(.malformedManifest, text.count, "the manifest ends in its first line")
    }
    let hash = text[head...].withUnsafeBytes(Frame.hash)
    guard text[..<head].elementsEqual(Self.head(hash: hash)) else {
      throw damaged(.corrupt, 0, "the manifest's hash does not fit its text")
    }
    do {
      self = try text.withUnsafeBytes { try Self.parse($0) }
    } catch let fault as SafetensorsJSON.Fault {
      throw damaged(.malformedManifest, fault.position, "malformed manifest: \(fault.problem)")
    } catch {
      throw damaged(.malformedManifest, 0, "malformed manifest: \(error)")
    }
    try validate(path: path)
  }
}

/// `text` as a JSON string.
private func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case "\u{0}"..<"\u{20}":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
