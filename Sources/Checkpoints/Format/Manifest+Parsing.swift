import Formats

extension Manifest {
  private static let largestDimensions = 8
  private static let largestName = 512

  /// Parses a manifest without validating it.
  static func parse(_ bytes: UnsafeRawBufferPointer) throws(JSONSyntaxError) -> Manifest {
    var json = JSONScanner(bytes)
    try json.expect("{")
    try json.key("xxh64", isFirst: true)
    _ = try json.string()
    try json.key("format")
    guard try json.string() == "quillan-checkpoint" else { throw json.fault("the format is not quillan-checkpoint") }
    try json.key("version")
    let version = try json.integer()
    guard version == Self.version else {
      throw json.fault("version \(version) of the format; this program reads version \(Self.version)")
    }
    let program = try json.text("program")
    let phase = try json.text("phase")
    let step = try json.number("step")
    let ranks = try json.number("ranks")
    let expertParallel = try json.number("expert_parallel")
    let expertFiles = try json.number("expert_files")
    try json.key("counters")
    let counters = try json.counters()
    var manifest = Manifest(
      program: program, phase: phase, step: step, ranks: ranks, expertParallel: expertParallel,
      expertFiles: expertFiles, counters: counters, configuration: try json.text("configuration"))
    try json.key("files")
    manifest.files = try json.list { (json) throws(JSONSyntaxError) in try file(&json) }
    try json.key("tensors")
    manifest.tensors = try json.list { (json) throws(JSONSyntaxError) in try tensor(&json) }
    try json.expect("}")
    try json.expectEnd()
    return manifest
  }

  private static func file(_ json: inout JSONScanner) throws(JSONSyntaxError) -> File {
    try json.expect("{")
    try json.key("name", isFirst: true)
    let name = try json.string()
    guard isFileName(name) else {
      throw json.fault("'\(SafetensorsError.printable(name))' cannot name a file of a checkpoint")
    }
    let file = File(name: name, byteCount: try json.number("bytes"))
    try json.expect("}")
    return file
  }

  /// Lower-case letters, digits and hyphens before `.qck`: no path, no hidden file.
  static func isFileName(_ name: String) -> Bool {
    guard name.hasSuffix(".qck"), name.utf8.count <= 64 else { return false }
    let stem = name.utf8.dropLast(4)
    return !stem.isEmpty && stem.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
  }

  private static func tensor(_ json: inout JSONScanner) throws(JSONSyntaxError) -> Tensor {
    try json.expect("{")
    try json.key("name", isFirst: true)
    let name = try json.string()
    guard !name.isEmpty, name.utf8.count <= largestName else {
      throw json.fault("a tensor's name is empty or too long")
    }
    let kind: TensorKind = try json.choice("kind")
    let type: SafetensorsDataType = try json.choice("type")
    try json.key("shape")
    let shape = try json.integers(limit: largestDimensions)
    try json.key("slices")
    let slices = try json.list { (json) throws(JSONSyntaxError) in try slice(&json) }
    try json.expect("}")
    return Tensor(key: TensorKey(name, kind), type: type, shape: shape, slices: slices)
  }

  private static func slice(_ json: inout JSONScanner) throws(JSONSyntaxError) -> Slice {
    try json.expect("{")
    try json.key("elements", isFirst: true)
    let range = try json.integers(limit: 2)
    guard range.count == 2, range[0] < range[1] else { throw json.fault("'elements' must be two ascending numbers") }
    let part = try json.number("part")
    let file = try json.number("file")
    let offset = try json.number("offset")
    let bytes = try json.number("bytes")
    let encoding: FrameEncoding = try json.choice("encoding")
    let digits = try json.text("xxh64")
    let isHash = digits.utf8.count == 16 && digits.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    guard isHash, let hash = UInt64(digits, radix: 16) else {
      throw json.fault("'xxh64' must be 16 hexadecimal digits")
    }
    try json.expect("}")
    return Slice(
      range: range[0]..<range[1], part: part, file: file, offset: offset, bytes: bytes, encoding: encoding, hash: hash)
  }
}

extension JSONScanner {
  /// Consumes the next member's key, which must be `expected`.
  fileprivate mutating func key(_ expected: String, isFirst: Bool = false) throws(JSONSyntaxError) {
    if !isFirst { try expect(",") }
    let start = position
    let key = try self.key()
    guard key == expected else {
      throw fault("expected '\(expected)', found '\(SafetensorsError.printable(key))'", at: start)
    }
  }

  fileprivate mutating func number(_ key: String) throws(JSONSyntaxError) -> Int {
    try self.key(key)
    return try integer()
  }

  fileprivate mutating func text(_ key: String) throws(JSONSyntaxError) -> String {
    try self.key(key)
    return try string()
  }

  fileprivate mutating func choice<Choice: RawRepresentable & CaseIterable>(_ key: String) throws(JSONSyntaxError)
    -> Choice
  where Choice.RawValue == String {
    let word = try text(key)
    guard let value = Choice(rawValue: word) else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw fault("'\(key)' is '\(SafetensorsError.printable(word))', not one of \(known)")
    }
    return value
  }

  fileprivate mutating func counters() throws(JSONSyntaxError) -> [String: Int] {
    try expect("{")
    var counters: [String: Int] = [:]
    while try another(before: "}", isFirst: counters.isEmpty) {
      let name = try key()
      guard counters.updateValue(try integer(), forKey: name) == nil else { throw fault("a counter appears twice") }
    }
    return counters
  }

  fileprivate mutating func list<Element>(
    _ element: (inout JSONScanner) throws(JSONSyntaxError) -> Element
  ) throws(JSONSyntaxError) -> [Element] {
    try expect("[")
    var elements: [Element] = []
    while try another(before: "]", isFirst: elements.isEmpty) { elements.append(try element(&self)) }
    return elements
  }
}
