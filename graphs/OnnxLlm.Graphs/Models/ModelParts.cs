namespace OnnxLlm.Graphs.Models;

/// <summary>A matrix that maps the residual stream, or back to it, and the bias added to the result.</summary>
internal sealed record Projection(string Name, int Outputs, bool Bias = false);

/// <summary>
/// The parts that <see cref="Decoder"/>, <see cref="Encoder"/> and <see cref="EncoderDecoder"/> are made of, each under the name of its parameters. Training and answering compute some of them differently:
/// the first needs gradients, the second runs on operators that every ONNX Runtime has, and a decoder then remembers keys and values.
/// </summary>
internal abstract class ModelParts(GraphBuilder graph, ModelConfig config)
{
    private readonly Dictionary<string, Value> _parameters = [];

    /// <summary>Other parts of the same graph, whose parameters are also these parts' where they have the same names.</summary>
    public ModelParts Sharing { init => _parameters = value._parameters; }

    private string _module = "";

    public GraphBuilder Graph { get; } = graph;

    protected ModelConfig Config { get; } = config;

    /// <summary>The block that is being built, counted from 0.</summary>
    protected int Layer { get; private set; } = -1;

    /// <summary>Enters the next block: the names of parts are relative to <paramref name="module"/> until disposal.</summary>
    public IDisposable Scope(string module)
    {
        (_module, Layer) = (module + ".", Layer + 1);
        return new ScopeEnd(this, Graph.Scope(module));
    }

    /// <summary>The vectors [B, T, D] of token ids [B, T].</summary>
    public Value Embedding(string name, Value ids) => Embedding(name, Config.VocabularySize, ids);

    /// <summary>The rows, of a table [<paramref name="rows"/>, D], that ids [..] name: [.., D].</summary>
    public Value Embedding(string name, int rows, Value ids) => Graph.Gather(Parameter($"{name}.weight", [rows, Config.Width]), ids);

    /// <summary>The vectors of the positions 0, 1, … of a sequence, broadcastable to [B, T, D].</summary>
    public abstract Value LearnedPositions(string name);

    /// <summary>[B, T, D] in the form that the other parts take.</summary>
    public abstract Value Rows(Value x);

    /// <summary>x·W + b.</summary>
    public abstract Value Linear(Value x, Projection projection);

    /// <summary>The norm of <paramref name="x"/>; x is replaced by an equal value where one operator computes both a sum and its norm.</summary>
    public abstract Value LayerNorm(ref Value x, string name);

    /// <inheritdoc cref="LayerNorm"/>
    public abstract Value RmsNorm(ref Value x, string name);

    public abstract Value Gelu(Value x);

    public Value Relu(Value x) => Graph.Relu(x);

    /// <summary>silu(h·gate) · (h·up).</summary>
    public abstract Value SwiGlu(Value h, Projection gate, Projection up);

    /// <summary>
    /// Attention [.., H*K] among the queries, keys and values that the projections make of h, all three in one or each in its own: causal in a decoder,
    /// of every token to every other that is not padding in an encoder.
    /// Queries and keys are rotated by their positions in families that do so.
    /// </summary>
    public abstract Value Attention(Value h, params ReadOnlySpan<Projection> projections);

    /// <summary>Of x, the rows whose scores are wanted: of a classifier those of the first tokens [B, D], else all of them where nothing is said.</summary>
    public virtual Value Scored(Value x) => x;

    /// <summary>Scores of all tokens: x times the rows of a table [V, D].</summary>
    public abstract Value Head(Value x, string name);

    /// <summary>A vector that is added to each row.</summary>
    public Value Bias(string name, int outputs) => Parameter(name, [outputs]);

    /// <summary>Queries, keys and values from one tensor that holds them side by side.</summary>
    protected (Value Q, Value K, Value V) Separate(Value qkv)
    {
        var parts = Graph.Split(qkv, -1, Config.QueryWidth, Config.KeyValueWidth, Config.KeyValueWidth);
        return (parts[0], parts[1], parts[2]);
    }

    protected Value Gain(string name) => Parameter(name, [Config.Width]);

    protected Value Table(string name) => Parameter($"{name}.weight", [Config.VocabularySize, Config.Width]);

    /// <summary>A parameter of the part <paramref name="name"/>; a second use, such as that of a tied table, is the same tensor.</summary>
    protected Value Parameter(string name, TensorShape shape)
    {
        string path = _module + name;
        return _parameters.TryGetValue(path, out var known) ? known : _parameters[path] = Graph.Parameter(path, shape);
    }

    private sealed class ScopeEnd(ModelParts parts, IDisposable scope) : IDisposable
    {
        public void Dispose()
        {
            parts._module = "";
            scope.Dispose();
        }
    }
}
