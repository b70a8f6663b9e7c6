/// A value while it is encoded. Containers share it: `Codable` code may fill nested containers in any order.
final class RecordNode {
  private enum Content {
    case value(RecordValue)
    case list([RecordNode])
    case fields([String: RecordNode])
  }

  private var content: Content?

  func set(_ value: RecordValue) { content = .value(value) }

  /// Becomes a list, if it is not one yet.
  func becomeList() { if listCount == nil { content = .list([]) } }

  /// Becomes a record with fields, if it is not one yet.
  func becomeFields() {
    if case .fields = content { return }
    content = .fields([:])
  }

  var listCount: Int? { if case .list(let nodes) = content { nodes.count } else { nil } }

  /// A new last element of the list.
  func appended() -> RecordNode {
    let node = RecordNode()
    if case .list(let nodes) = content { content = .list(nodes + [node]) } else { content = .list([node]) }
    return node
  }

  /// The node of a field, new or existing.
  func field(_ name: String) -> RecordNode {
    var fields: [String: RecordNode] = [:]
    if case .fields(let existing) = content { fields = existing }
    let node = fields[name] ?? RecordNode()
    fields[name] = node
    content = .fields(fields)
    return node
  }

  func value(depth: Int) throws(RecordError) -> RecordValue {
    guard depth < RecordCodec.depthLimit else { throw RecordError("the values nest too deeply") }
    switch content {
    case nil: return .fields([:])
    case .value(let value): return value
    case .list(let nodes):
      var values: [RecordValue] = []
      for node in nodes { values.append(try node.value(depth: depth + 1)) }
      return .list(values)
    case .fields(let nodes):
      var values: [String: RecordValue] = [:]
      for (name, node) in nodes { values[name] = try node.value(depth: depth + 1) }
      return .fields(values)
    }
  }
}

/// The index of an element of a list, in a coding path.
struct RecordIndex: CodingKey {
  let index: Int

  init(_ index: Int) { self.index = index }
  init?(intValue: Int) { index = intValue }
  init?(stringValue: String) { nil }

  var intValue: Int? { index }
  var stringValue: String { "\(index)" }
}

/// The field name that `Codable` gives the superclass's part.
struct SuperKey: CodingKey {
  init() {}
  init?(intValue: Int) { nil }
  init?(stringValue: String) { nil }

  var intValue: Int? { nil }
  var stringValue: String { "super" }
}

/// Collects the values of a record in a `RecordNode`.
struct RecordEncoder: Encoder {
  let node: RecordNode
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func write<Value: Encodable>(_ value: Value) throws {
    if let primitive = value as? any RecordPrimitive {
      node.set(primitive.recordValue)
    } else {
      try value.encode(to: self)
    }
  }

  func container<Key: CodingKey>(keyedBy: Key.Type) -> KeyedEncodingContainer<Key> {
    node.becomeFields()
    return KeyedEncodingContainer(Fields<Key>(node: node, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.becomeList()
    return List(node: node, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { Single(node: node, codingPath: codingPath) }

  private struct Single: SingleValueEncodingContainer {
    let node: RecordNode
    let codingPath: [any CodingKey]

    mutating func encodeNil() { node.set(.none) }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
      try RecordEncoder(node: node, codingPath: codingPath).write(value)
    }
  }

  private struct Fields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: RecordNode
    let codingPath: [any CodingKey]

    private func encoder(_ key: any CodingKey) -> RecordEncoder {
      RecordEncoder(node: node.field(key.stringValue), codingPath: codingPath + [key])
    }

    mutating func encodeNil(forKey key: Key) { node.field(key.stringValue).set(.none) }

    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try encoder(key).write(value) }

    mutating func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { encoder(key).container(keyedBy: type) }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      encoder(key).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { encoder(SuperKey()) }

    mutating func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }
  }

  private struct List: UnkeyedEncodingContainer {
    let node: RecordNode
    let codingPath: [any CodingKey]
    var count: Int { node.listCount ?? 0 }

    private func encoder() -> RecordEncoder {
      let index = RecordIndex(count)
      return RecordEncoder(node: node.appended(), codingPath: codingPath + [index])
    }

    mutating func encodeNil() { node.appended().set(.none) }

    mutating func encode<Value: Encodable>(_ value: Value) throws { try encoder().write(value) }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
      encoder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder().unkeyedContainer() }

    mutating func superEncoder() -> any Encoder { encoder() }
  }
}
