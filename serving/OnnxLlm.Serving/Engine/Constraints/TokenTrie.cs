namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>The vocabulary as a tree of bytes, so that what many tokens begin with is looked at once. It cannot change.</summary>
internal sealed class TokenTrie
{
    private readonly byte[][] _tokens;

    /// <param name="tokens">The bytes of each token; empty for tokens that stand for no text and are never allowed.</param>
    public TokenTrie(IReadOnlyList<byte[]> tokens)
    {
        _tokens = [.. tokens];
        Root = new Node();
        for (var token = 0; token < tokens.Count; token++)
            if (tokens[token].Length > 0) Add(tokens[token], token);
    }

    public Node Root { get; }

    public int Count => _tokens.Length;

    public ReadOnlySpan<byte> Bytes(int token) => _tokens[token];

    private void Add(byte[] bytes, int token)
    {
        var node = Root;
        foreach (var b in bytes) node = node.Child(b);
        node.Tokens.Add(token);
    }

    /// <summary>Where a beginning of tokens leads.</summary>
    public sealed class Node
    {
        private readonly List<(byte Byte, Node Node)> _children = [];

        public IReadOnlyList<(byte Byte, Node Node)> Children => _children;

        /// <summary>Tokens that end here.</summary>
        public List<int> Tokens { get; } = [];

        internal Node Child(byte wanted)
        {
            foreach (var (b, node) in _children)
                if (b == wanted) return node;
            var child = new Node();
            _children.Add((wanted, child));
            return child;
        }
    }
}
