namespace OnnxLlm.Benchmarks.Speculation;

/// <summary>A kind of text to be continued.</summary>
/// <param name="Name">As results name it.</param>
internal sealed record SpeculationTexts(string Name, string Words, string[] Prompts)
{
    /// <summary>What a guess lives on is missing in the first, and there in the second.</summary>
    public static SpeculationTexts[] All { get; } =
    [
        new("story", "beginnings of stories", [
            "Once upon a time, in a small house by the river, there lived a girl named Lily. Every morning",
            "Ben found an old key in the garden. He wanted to know what it could open, so",
            "It was a very cold day. The little bird sat on a branch and looked for its mother.",
            "Sara and her grandfather went to the market to buy apples. On the way home they saw",
            "The big brown dog did not like the rain. One evening, when the rain was very loud,",
            "Tim had a blue boat. He took it to the pond, but the wind",
        ]),
        new("refrain", "tales that say again what they said", [
            "Tom had a red ball. Tom threw the red ball to Anna. Anna threw the red ball to Ben. Ben threw the red ball to Tom. Tom had a red ball. Tom threw the red ball to Anna.",
            "\"Who has seen my hat?\" asked the bear. \"I have not seen your hat,\" said the fox. \"Who has seen my hat?\" asked the bear. \"I have not seen your hat,\" said the frog. \"Who has seen my hat?\"",
            "The cat ran and ran. \"Stop, little cat,\" said the man. But the cat ran and ran. \"Stop, little cat,\" said the cow. But the cat ran and ran.",
            "One day the sun came up and the hen laid an egg. The next day the sun came up and the hen laid an egg. The next day",
            "\"Knock, knock,\" went the door. \"Come in,\" said the mouse, and in came a rabbit. \"Knock, knock,\" went the door. \"Come in,\" said the mouse, and in came",
            "First she put on her blue hat, then she put on her blue coat. First he put on his red hat, then he put on his red coat. First they put on",
        ]),
    ];
}
