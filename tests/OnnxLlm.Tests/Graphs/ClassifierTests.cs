using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Encoders;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Graphs;

/// <summary>
/// A tiny BERT with labels against plain loops in double precision, in training and in packages. As in <see cref="EncoderTests"/>, an element is the end of a chain of a few
/// hundred float32 operations, each with a relative error of at most 6e-8.
/// </summary>
public sealed class ClassifierTests
{
    private const double Arithmetic = 2e-5;
    private const int Batch = 4, Time = 9;

    private static readonly TrainingShape Shape = new(Batch, Time);

    private static readonly TinyModel Model = TinyModel.Bert(labels: ["bad", "good", "so so"]);

    /// <summary>The second and the third sequence have padding behind.</summary>
    private static readonly long[] Mask = [.. Enumerable.Range(0, Batch * Time).Select(i => i / Time == 1 && i % Time >= 4 || i / Time == 2 && i % Time >= 1 ? 0L : 1)];

    private static readonly long[] Ids = [.. Enumerable.Range(0, Batch * Time).Select(i => (long)(i * 37 + i * i * 11) % 61)];

    /// <summary>The last is a row that fills a batch up.</summary>
    private static readonly long[] Labels = [2, 0, 1, -100];

    private static readonly ReferenceEncoder Reference = new(Model.Config, Weight);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_OfPaddedSequences_EqualTheReference(bool kernels) =>
        Closeness.AssertClose(TrainingLogits.Of(Model, Ids, Shape, kernels, Mask), Expected(0), Arithmetic, "logits");

    [Fact]
    public void Parameters_HaveTheNamesAndShapesOfHuggingFace()
    {
        var parameters = ModelParameters.Of(Model.Config);
        Assert.Equal(
            ["bert.pooler.dense.weight [32, 32]", "bert.pooler.dense.bias [32]", "classifier.weight [3, 32]", "classifier.bias [3]"],
            parameters[^4..].Select(p => $"{p.Name} {TensorShape.Of(p.Shape)}"));
        Assert.DoesNotContain(parameters, p => p.Name.StartsWith("cls.", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(ActivationCheckpointing.None)]
    [InlineData(ActivationCheckpointing.Block)]
    public void LossAndEveryGradient_EqualTheReferenceAndItsFiniteDifferences(ActivationCheckpointing checkpointing)
    {
        using var run = new TrainingRun(Model.Config, Shape, step: new StepSettings { Checkpointing = checkpointing });
        run.Load(Model);
        run.See(Mask);

        float loss = run.Step(Ids, Labels, 1f / 3);

        Closeness.AssertClose([loss], [(float)(Loss(Reference) / 3)], Arithmetic, "loss");
        var random = new Random(3);
        foreach (var p in run.Graphs.Parameters)
        {
            float[] all = run[p.GradientBuffer].ToArray();

            // The sign of a tensor's scale is its largest element, which need not be among those that are drawn.
            double largest = Math.Max(1e-3, all.Max(Math.Abs));
            foreach (int i in Enumerable.Range(0, 6).Select(_ => random.Next((int)p.Count)))
            {
                double expected = Difference(p.Name, i) / 3;
                Assert.True(Math.Abs(all[i] - expected) <= Arithmetic * largest, $"{p.Name}[{i}]: {all[i]}, by differences {expected}, largest {largest}");
            }
        }
    }

    [Fact]
    public void Evaluation_GivesTheLossOfEachSequence_AndTheLikeliestLabel()
    {
        var graph = TrainingGraphs.EvaluationGraph(Model.Config, Shape);
        using var session = new OrtSession(OnnxFile.ToBytes(graph), new SessionSettings { Threads = 1 });
        var feeds = session.Inputs.Where(i => i.Name is not ("input_ids" or "attention_mask" or "labels")).ToDictionary(i => i.Name, i => TensorBuffer.Of(Model.Weight(i.Name), i.Shape.AsSpan()));
        (feeds["input_ids"], feeds["attention_mask"], feeds["labels"]) = (TensorBuffer.Of(Ids, Batch, Time), TensorBuffer.Of(Mask, Batch, Time), TensorBuffer.Of(Labels, Batch));
        var outputs = session.Run(feeds);

        float[] expected = [.. Enumerable.Range(0, Batch).Select(row => Labels[row] < 0 ? 0 : (float)Reference.Loss(Part(Ids, row), Labels[row], Part(Mask, row)))];
        Closeness.AssertClose(outputs["token_losses"].Span<float>(), expected, Arithmetic, "losses");
        Assert.Equal(Enumerable.Range(0, Batch).Select(Likeliest), outputs["predictions"].Span<long>().ToArray());
        foreach (var buffer in feeds.Values.Concat(outputs.Values)) buffer.Dispose();

        static long Likeliest(int row) => Reference.Classes(Part(Ids, row), Part(Mask, row)) is var scores ? Array.IndexOf(scores, scores.Max()) : -1;
    }

    /// <summary>The graph of a package, segments given and left out.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(true, 1)]
    [InlineData(false, 0)]
    public void PackagesGraph_EqualsTheReference(bool kernels, long segment)
    {
        using var session = new OrtSession(ClassificationGraph.Export(Model.Config, Model.Source).ToByteArray(), new SessionSettings { Kernels = kernels, Threads = 1 });
        using TensorBuffer ids = TensorBuffer.Of(Ids, Batch, Time), mask = TensorBuffer.Of(Mask, Batch, Time), types = TensorBuffer.Of([.. Ids.Select(_ => segment)], Batch, Time);
        var feeds = new Dictionary<string, TensorBuffer> { [MaskedLmGraph.InputIds] = ids, [MaskedLmGraph.AttentionMask] = mask };
        if (segment > 0) feeds[MaskedLmGraph.TokenTypeIds] = types;
        using var logits = session.Run(feeds)[MaskedLmGraph.Logits];
        Assert.Equal([Batch, 3], logits.Shape.ToArray());
        Closeness.AssertClose(logits.Span<float>(), Expected(segment), Arithmetic, "logits");
    }

    [Fact]
    public void Package_NamesItsLabelsAsHuggingFaceDoes()
    {
        using var package = new TinyPackage(Model);
        PackageManifest.Verify(package.Folder);
        string path = Path.Combine(package.Folder, "config.json"), json = File.ReadAllText(path);
        foreach (string part in new[] { "BertForSequenceClassification", "\"id2label\"", "\"2\": \"so so\"", "\"label2id\"", "\"so so\": 2" }) Assert.Contains(part, json, StringComparison.Ordinal);
        Assert.Equal(Model.Config.Labels, ModelConfig.Load(path).Labels.AsEnumerable());
        Assert.Equal(Model.Config.ToJson().ToJsonString(), ModelConfig.Parse(Model.Config.ToJson(), strict: true).ToJson().ToJsonString());
    }

    [Theory]
    [InlineData("\"architectures\":[\"BertForSequenceClassification\"]", "LABEL_0, LABEL_1")]
    [InlineData("\"architectures\":[\"BertForSequenceClassification\"],\"id2label\":{\"1\":\"b\",\"0\":\"a\"},\"problem_type\":\"single_label_classification\"", "a, b")]
    [InlineData("\"architectures\":[\"BertForMaskedLM\"],\"id2label\":{\"0\":\"a\"}", "")]
    public void Labels_AreThoseOfAClassifiersConfig(string fields, string labels) => Assert.Equal(labels, string.Join(", ", Parse(fields).Labels));

    [Theory]
    [InlineData("\"id2label\":{\"0\":\"a\"}", "'id2label' needs two labels at least")]
    [InlineData("\"id2label\":{\"0\":\"a\",\"1\":\"a\"}", "'id2label' has a label twice.")]
    [InlineData("\"id2label\":{\"0\":\"a\",\"2\":\"b\"}", "'id2label' must be an object of texts with the keys 0, 1, …")]
    [InlineData("\"id2label\":[\"a\",\"b\"]", "'id2label' must be an object of texts with the keys 0, 1, …")]
    [InlineData("\"problem_type\":\"multi_label_classification\"", "'problem_type' \"multi_label_classification\" is not supported")]
    public void LabelsThatAreNone_AreRefusedInWords(string fields, string told) =>
        Assert.Contains(told, Assert.Throws<GraphException>(() => Parse($"\"architectures\":[\"BertForSequenceClassification\"],{fields}")).Message, StringComparison.Ordinal);

    private static ModelConfig Parse(string fields) => ModelConfig.Parse(
        System.Text.Json.Nodes.JsonNode.Parse($$"""{"model_type":"bert","vocab_size":61,"hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":8,{{fields}}}""")!.AsObject(), strict: false);

    private static double[] Weight(string name) => [.. Model.Weight(name).Select(x => (double)x)];

    private static float[] Expected(long segment) => [.. Enumerable.Range(0, Batch).SelectMany(row => Reference.Classes(Part(Ids, row), Part(Mask, row), segment)).Select(x => (float)x)];

    private static double Loss(ReferenceEncoder reference) => Enumerable.Range(0, Batch).Where(row => Labels[row] >= 0).Sum(row => reference.Loss(Part(Ids, row), Labels[row], Part(Mask, row)));

    /// <summary>Central difference of the loss by one element of a parameter.</summary>
    private static double Difference(string parameter, int element)
    {
        const double Step = 1e-5;
        return (At(Step) - At(-Step)) / (2 * Step);

        double At(double shift)
        {
            double[] moved = Weight(parameter);
            moved[element] += shift;
            return Loss(new(Model.Config, name => name == parameter ? moved : Weight(name)));
        }
    }

    private static long[] Part(long[] all, int row) => all[(row * Time)..((row + 1) * Time)];
}
